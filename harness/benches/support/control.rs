//! The straight client that a C programmer would write, to hold the generator against. Not here: its server, which is a twin of the zoo.

use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::net::TcpStream;
use std::os::fd::{AsFd as _, OwnedFd};

/// Events taken per call.
const BATCH: usize = 256;

/// One epoll thread: `connections` of them, one message each in flight, one read and one write a reply.
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
