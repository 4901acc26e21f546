//! IPv6, alone and with IPv4 on one socket: whom every model's server serves at `[::1]` and `[::]`. Not here: the source of an answer to
//! a datagram (`datagram_peers`), the socket option itself (crate sys).

use crate::datagram::Socket;
use crate::fixture::{Server, Subject, aloud, connect, each_on, exchange, has_ipv6, run};
use std::io::ErrorKind;
use std::net::SocketAddr;
use sys::datagram::{Client, Wait};
use sys::spawn::Begin;
use sys::{Address, Family};

/// An IPv4 address of this machine that nobody listens at by name: a port that an IPv6 server has left free may be another test's.
const V4: &str = "127.9.8.7";

fn start(on: Subject, host: &str, more: &[&str]) -> Server {
    let url = format!("{}://{host}:0", on.family);
    Server::at(on.model, "echo", &url, &[&["--workers", "2"], more].concat(), &Begin::default())
}

fn at(server: &Server, host: &str) -> Address {
    SocketAddr::new(host.parse().unwrap(), server.url.ip().unwrap().port()).into()
}

/// An exchange with the server by one of the machine's addresses; else the error of the kernel.
fn reach(server: &Server, host: &str) -> Result<(), ErrorKind> {
    let to = at(server, host);
    let answer = if server.url.family == Family::Udp {
        let client = Socket::open(&to, Family::Udp, Client::default());
        client.send(b"ping");
        client.try_recv(Wait::Socket)
    } else {
        connect(&to).map(|mut stream| exchange(&mut stream, b"ping"))
    };
    answer.map(|bytes| assert_eq!(bytes, b"ping")).map_err(|error| error.kind())
}

fn on_each(test: impl Fn(Subject)) {
    if !has_ipv6() {
        return aloud("SKIPPED: [::1]: this machine has no IPv6");
    }
    for family in [Family::Tcp, Family::Udp] {
        each_on(family, &test);
    }
}

#[test]
fn a_server_at_an_ipv6_address_serves_it() {
    on_each(|on| assert_eq!(reach(&start(on, "[::1]", &[]), "::1"), Ok(()), "{on:?}"));
}

#[test]
fn a_server_on_all_addresses_serves_both_unless_it_is_told_not_to() {
    on_each(|on| {
        let both = start(on, "[::]", &[]);
        assert_eq!((reach(&both, "::1"), reach(&both, V4)), (Ok(()), Ok(())), "{on:?}");
        let one = start(on, "[::]", &["--v6-only"]);
        assert_eq!(
            (reach(&one, "::1"), reach(&one, V4)),
            (Ok(()), Err(ErrorKind::ConnectionRefused)),
            "{on:?}"
        );
    });
}

#[test]
fn the_port_of_an_ipv6_server_is_free_for_another_over_ipv4_where_it_does_not_serve_that_itself() {
    if !has_ipv6() {
        return aloud("SKIPPED: [::1]: this machine has no IPv6");
    }
    for (model, family) in
        ["epoll", "epoll-reuseport"].into_iter().flat_map(|m| [(m, Family::Tcp), (m, Family::Udp)])
    {
        let (on, what) = (Subject { model, family }, format!("{model} on {family}"));
        let (both, one) = (start(on, "[::]", &[]), start(on, "[::]", &["--v6-only"]));
        let v4 = |server: &Server| format!("{family}://{}:{}", V4, server.url.ip().unwrap().port());
        let output = run(&[model, "--listen", &v4(&both)]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.code() == Some(3) && text.contains("another server has the port"),
            "{what}: {text}"
        );
        let other = Server::at(model, "echo", &v4(&one), &[], &Begin::default());
        assert_eq!((reach(&other, V4), reach(&one, "::1")), (Ok(()), Ok(())), "{what}");
    }
}
