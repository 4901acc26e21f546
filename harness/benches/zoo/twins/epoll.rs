//! The twin of `epoll`: one thread, level-triggered; one read and one write for each event. Not here: pipelined requests of `sized`.

use super::{Says, text};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd as _, OwnedFd};

/// Events taken per call.
const BATCH: usize = 256;

const LISTENER: u64 = u64::MAX;

struct Connection {
    stream: TcpStream,
    /// What of the reply is still to be sent.
    unsent: &'static [u8],
}

struct Server {
    poll: OwnedFd,
    listener: TcpListener,
    says: Says,
    /// By descriptor.
    connections: Vec<Option<Connection>>,
    buffer: Vec<u8>,
}

pub(super) fn serve(says: Says) {
    let listener = super::listener();
    listener.set_nonblocking(true).expect("non-blocking");
    let poll = epoll::create(CreateFlags::CLOEXEC).expect("epoll");
    epoll::add(&poll, &listener, EventData::new_u64(LISTENER), EventFlags::IN).expect("add");
    super::say_ready(&listener);
    let mut server = Server { poll, listener, says, connections: Vec::new(), buffer: vec![0; 64 * 1024] };
    let mut events = Vec::with_capacity(BATCH);
    loop {
        events.clear();
        epoll::wait(&server.poll, spare_capacity(&mut events), None).expect("wait");
        for event in &events {
            match event.data.u64() {
                LISTENER => server.accept(),
                key => server.serve(key as usize),
            }
        }
    }
}

impl Server {
    fn accept(&mut self) {
        let flags = rustix::net::SocketFlags::CLOEXEC | rustix::net::SocketFlags::NONBLOCK;
        while let Ok(fd) = rustix::net::accept_with(&self.listener, flags) {
            if self.says == Says::Greeting {
                let _ = send(&fd, service::greeting::GREETING, SendFlags::NOSIGNAL);
                // As the model: a close with unread input would be a reset.
                let _ = recv(&fd, &mut [0; 512], RecvFlags::empty());
                continue;
            }
            let key = fd.as_raw_fd() as usize;
            epoll::add(&self.poll, &fd, EventData::new_u64(key as u64), EventFlags::IN).expect("add");
            if self.connections.len() <= key {
                self.connections.resize_with(key + 1, || None);
            }
            self.connections[key] = Some(Connection { stream: fd.into(), unsent: &[] });
        }
    }

    fn serve(&mut self, key: usize) {
        let Some(connection) = &mut self.connections[key] else { return };
        if !connection.unsent.is_empty() {
            return self.write(key);
        }
        match recv(&connection.stream, self.buffer.as_mut_slice(), RecvFlags::empty()) {
            Ok((n, _)) if n > 0 && self.says == Says::Echo => {
                send(&connection.stream, &self.buffer[..n], SendFlags::NOSIGNAL).expect("send");
            }
            Ok((n, _)) if n > 0 => {
                if self.buffer[n - 1] == b'\n' {
                    connection.unsent = text();
                    self.write(key);
                }
            }
            _ => self.connections[key] = None,
        }
    }

    fn write(&mut self, key: usize) {
        let Some(connection) = &mut self.connections[key] else { return };
        let first = connection.unsent.len() == text().len();
        match send(&connection.stream, connection.unsent, SendFlags::NOSIGNAL) {
            Ok(n) => connection.unsent = &connection.unsent[n..],
            Err(rustix::io::Errno::AGAIN) => {}
            Err(_) => return self.connections[key] = None,
        }
        let wanted = match connection.unsent.is_empty() {
            false if first => EventFlags::OUT,
            true if !first => EventFlags::IN,
            _ => return,
        };
        let data = EventData::new_u64(key as u64);
        epoll::modify(&self.poll, &connection.stream, data, wanted).expect("modify");
    }
}
