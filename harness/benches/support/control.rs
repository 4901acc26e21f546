//! Controls: the straight loops that a C programmer would write, to hold the drivers and the generator against.
//! Not here: any rule of robust servers; a control has no business on a network.

use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd as _, OwnedFd};

/// The word that makes a bench a control server.
pub(crate) const SERVE: &str = "--serve-as-control";

/// Events taken per call.
const BATCH: usize = 256;

/// One epoll thread, level-triggered; one read and one write for each event, until killed.
pub(crate) fn serve_echo() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    listener.set_nonblocking(true).expect("non-blocking");
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("epoll");
    epoll::add(&poll, &listener, epoll::EventData::new_u64(u64::MAX), epoll::EventFlags::IN).expect("add");
    let mut out = std::io::stdout().lock();
    writeln!(out, "listening on tcp://{}", listener.local_addr().expect("address")).expect("ready line");
    out.flush().expect("flush");
    let mut connections: Vec<Option<TcpStream>> = Vec::new();
    let mut events = Vec::with_capacity(BATCH);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        events.clear();
        epoll::wait(&poll, spare_capacity(&mut events), None).expect("wait");
        for event in &events {
            let key = event.data.u64();
            if key == u64::MAX {
                while let Ok((stream, _)) = listener.accept() {
                    stream.set_nodelay(true).expect("nodelay");
                    let data = epoll::EventData::new_u64(connections.len() as u64);
                    epoll::add(&poll, &stream, data, epoll::EventFlags::IN).expect("add");
                    connections.push(Some(stream));
                }
                continue;
            }
            let Some(stream) = &connections[key as usize] else { continue };
            match recv(stream, buffer.as_mut_slice(), RecvFlags::empty()) {
                Ok((n, _)) if n > 0 => {
                    send(stream, &buffer[..n], SendFlags::NOSIGNAL).expect("send");
                }
                _ => connections[key as usize] = None,
            }
        }
    }
}

/// A client of the same kind: `connections` of them, one message each in flight, one read and one write a reply.
pub(crate) struct Client {
    poll: OwnedFd,
    streams: Vec<TcpStream>,
    events: Vec<epoll::Event>,
    message: Vec<u8>,
    buffer: Vec<u8>,
}

impl Client {
    pub(crate) fn new(address: std::net::SocketAddr, connections: usize, size: usize) -> Self {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("epoll");
        let streams: Vec<TcpStream> = (0..connections)
            .map(|i| {
                let stream = TcpStream::connect(address).expect("connect");
                stream.set_nodelay(true).expect("nodelay");
                let data = epoll::EventData::new_u64(i as u64);
                epoll::add(&poll, stream.as_fd(), data, epoll::EventFlags::IN).expect("add");
                stream
            })
            .collect();
        Self {
            poll,
            streams,
            events: Vec::with_capacity(BATCH),
            message: vec![b'x'; size],
            buffer: vec![0; 64 * 1024],
        }
    }

    /// Makes `requests` round trips, spread over the connections as they answer.
    pub(crate) fn run(&mut self, requests: u64) {
        let (mut sent, mut done) = (0, 0);
        for stream in &self.streams {
            if sent < requests {
                send(stream, &self.message, SendFlags::NOSIGNAL).expect("send");
                sent += 1;
            }
        }
        while done < requests {
            self.events.clear();
            epoll::wait(&self.poll, spare_capacity(&mut self.events), None).expect("wait");
            for event in &self.events {
                let stream = &self.streams[event.data.u64() as usize];
                let (n, _) = recv(stream, self.buffer.as_mut_slice(), RecvFlags::empty()).expect("recv");
                assert_eq!(n, self.message.len());
                done += 1;
                if sent < requests {
                    send(stream, &self.message, SendFlags::NOSIGNAL).expect("send");
                    sent += 1;
                }
            }
        }
    }
}
