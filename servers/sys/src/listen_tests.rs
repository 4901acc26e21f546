//! Paths and names: who gets them, who removes them; whom an IPv6 socket serves. Not here: servers.

use super::*;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::PathBuf;

fn folder() -> (tempfile::TempDir, PathBuf, Url) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let url = format!("unix:{}", path.display()).parse().unwrap();
    (folder, path, url)
}

/// As servers call it that were told nothing about IPv6.
fn listen(url: &Url, backlog: u32) -> io::Result<Listening> {
    super::listen(url, backlog, Stack::default())
}

fn code(result: io::Result<Listening>) -> Option<i32> {
    result.unwrap_err().raw_os_error()
}

#[test]
fn a_path_is_made_and_goes_with_its_claim() {
    let (_folder, path, url) = folder();
    let listening = listen(&url, 8).unwrap();
    assert_eq!(listening.url, url);
    UnixStream::connect(&path).unwrap();
    // What an administrator does to it changes nothing about whose it is.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    drop(listening);
    assert!(!path.exists());
}

#[test]
fn only_a_dead_socket_is_taken_over() {
    let (_folder, path, url) = folder();
    drop(UnixListener::bind(&path).unwrap());
    let live = listen(&url, 0).unwrap();
    assert_eq!(code(listen(&url, 8)), Some(libc::EADDRINUSE));
    // Also while nobody accepts and its queue is full: the first probe is in it, and it has room for one.
    let full = crate::socket::connect_start(&url.address, None).unwrap_err();
    assert_eq!(full.raw_os_error(), Some(libc::EAGAIN));
    assert_eq!(code(listen(&url, 8)), Some(libc::EADDRINUSE));
    drop(live);

    std::fs::write(&path, "precious").unwrap();
    assert_eq!(code(listen(&url, 8)), Some(libc::EEXIST));
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    std::fs::remove_file(&path).unwrap();

    std::os::unix::fs::symlink("/nonexistent/s", &path).unwrap();
    assert_eq!(code(listen(&url, 8)), Some(libc::EEXIST));
    std::fs::remove_file(&path).unwrap();

    let _datagrams = UnixDatagram::bind(&path).unwrap();
    assert_eq!(code(listen(&url, 8)), Some(libc::EADDRINUSE));

    let missing = format!("unix:{}/no/s", path.display()).parse().unwrap();
    assert!(listen(&missing, 8).is_err());
}

#[test]
fn a_path_that_is_another_s_by_now_is_left_alone() {
    let (_folder, path, url) = folder();
    let first = listen(&url, 8).unwrap();
    // The descriptor is closed and the path is still there: dead for all to see, as in a server that drains.
    drop(first.fd);
    let second = listen(&url, 8).unwrap();
    drop(first.claim);
    UnixStream::connect(&path).unwrap();
    drop(second);
    assert!(!path.exists());
}

#[test]
fn of_many_that_start_at_once_over_a_dead_path_one_gets_it() {
    let (_folder, path, url) = folder();
    for _ in 0..20 {
        drop(UnixListener::bind(&path).unwrap());
        let got: Vec<_> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..8).map(|_| scope.spawn(|| listen(&url, 8))).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        assert_eq!(got.iter().filter(|one| one.is_ok()).count(), 1);
        UnixStream::connect(&path).unwrap();
        drop(got);
        assert!(!path.exists());
    }
}

#[test]
fn a_folder_that_stays_locked_is_said_so() {
    let (folder, _, url) = folder();
    let held = std::fs::File::open(folder.path()).unwrap();
    held.lock().unwrap();
    assert_eq!(listen(&url, 8).unwrap_err().kind(), io::ErrorKind::TimedOut);
    drop(held);
    assert!(listen(&url, 8).is_ok());
}

#[test]
fn the_longest_path_and_name_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let start = format!("{}/", folder.path().display());
    let path = format!("{start}{}", "x".repeat(path::MAX_PATH - start.len()));
    let url: Url = format!("unix:{path}").parse().unwrap();
    let listening = listen(&url, 8).unwrap();
    UnixStream::connect(&path).unwrap();
    drop(listening);
    let id = std::process::id().to_string();
    let url: Url = format!("unix:@{id}{}", "x".repeat(path::MAX_PATH - id.len())).parse().unwrap();
    let listening = listen(&url, 8).unwrap();
    let connected = crate::socket::connect_start(&url.address, None).unwrap();
    assert!(crate::socket::is_connected(std::os::fd::AsFd::as_fd(&connected)));
    assert!(listening.claim.is_none());
}

#[test]
fn an_abstract_name_has_exactly_the_length_that_is_written() {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::SocketAddr;
    let name = format!("sys-listen-{}", std::process::id());
    let url: Url = format!("unix:@{name}").parse().unwrap();
    let listening = listen(&url, 8).unwrap();
    assert_eq!(code(listen(&url, 8)), Some(libc::EADDRINUSE));
    let connect = |name: &[u8]| UnixStream::connect_addr(&SocketAddr::from_abstract_name(name).unwrap());
    connect(name.as_bytes()).unwrap();
    assert!(connect(&[name.as_bytes(), b"\0"].concat()).is_err());
    drop(listening);
    assert!(connect(name.as_bytes()).is_err());
}

#[test]
fn whom_an_ipv6_socket_serves_is_said_to_each_and_not_left_to_the_machine() {
    // At one address of IPv6 the kernel says so itself.
    let any: SocketAddr = "[::]:0".parse().unwrap();
    let url = |family: &str| format!("{family}://{any}").parse().unwrap();
    for (stack, only) in [(Stack::Dual, false), (Stack::V6Only, true)] {
        let Ok(stream) = super::listen(&url("tcp"), 8, stack) else {
            eprintln!("SKIPPED: this machine has no IPv6");
            return;
        };
        let (streams, _) = listen_group(any, 8, 2, stack).unwrap();
        let datagram = crate::datagram::bind(&url("udp"), stack).unwrap();
        let (datagrams, _) = crate::datagram::bind_group(any, 2, stack).unwrap();
        for socket in streams.iter().chain(&datagrams).chain([&stream.fd, &datagram.fd]) {
            assert_eq!(socket2::SockRef::from(socket).only_v6().unwrap(), only, "{stack:?}");
        }
    }
}
