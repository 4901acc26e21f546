//! What only Unix sockets have: paths that outlive their servers, names without a file, a queue that pushes back.
//! Not here: what a connection carries, which is the same for every family.

use crate::each_model;
use crate::fixture::{Server, Subject, eventually, exchange, run};
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use sys::spawn::Begin;

/// A folder, a path in it, and its URL.
fn place() -> (tempfile::TempDir, PathBuf, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let url = format!("unix:{}", path.display());
    (folder, path, url)
}

fn start(on: Subject, url: &str) -> Server {
    Server::at(on.model, "echo", url, &[], &Begin::default())
}

fn inode(path: &Path) -> u64 {
    std::fs::symlink_metadata(path).unwrap().ino()
}

fn the_path_is_gone_after_term_and_no_child_took_it_along(on: Subject) {
    let (folder, path, url) = place();
    let mut server = start(on, &url);
    let before = inode(&path);
    let at_rest = server.child_pids();
    for _ in 0..5 {
        server.canary();
    }
    eventually("the children have ended", || (server.child_pids() == at_rest).then_some(()));
    assert_eq!(inode(&path), before);
    server.canary();
    assert_eq!(server.stop().0.code(), Some(0));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

fn the_path_goes_also_where_the_grace_ran_out(on: Subject) {
    let (_folder, path, url) = place();
    let more = ["--work", "sleep:5s", "--grace", "0.1"];
    let mut server = Server::at(on.model, "echo", &url, &more, &Begin::default());
    let mut stream = server.connect();
    stream.write_all(b"x").unwrap();
    eventually("the request is read", || (sys::socket::unsent(stream.as_fd()).unwrap() == 0).then_some(()));
    assert_eq!(server.stop().0.code(), Some(0));
    assert!(!path.exists());
}

fn a_path_left_by_a_killed_server_is_taken_over(on: Subject) {
    let (_folder, path, url) = place();
    let mut dead = start(on, &url);
    dead.canary();
    dead.kill();
    assert!(path.exists());
    let mut again = start(on, &url);
    again.canary();
    again.stop();
    assert!(!path.exists());
}

fn a_path_in_use_is_not_stolen(on: Subject) {
    let (_folder, path, url) = place();
    let first = start(on, &url);
    let before = inode(&path);
    let second = run(&[on.model, "--listen", &url]);
    let text = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(3), "{text}");
    assert!(text.contains("another server has the path") && text.lines().count() == 1, "{text}");
    assert_eq!(inode(&path), before);
    first.canary();
}

fn a_file_that_is_no_socket_is_left_as_it_is(on: Subject) {
    let (_folder, path, url) = place();
    std::fs::write(&path, "precious").unwrap();
    let output = run(&[on.model, "--listen", &url]);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
}

fn an_abstract_name_is_served_and_free_again_at_the_end(on: Subject) {
    let url = format!("unix:@servers-it-{}-{}", on.model, std::process::id());
    for _ in 0..2 {
        let mut server = start(on, &url);
        server.canary();
        let mut held = server.connect();
        assert_eq!(exchange(&mut held, b"x"), b"x");
        // No child keeps the name: the next one gets it while this connection's end has only just come.
        server.kill();
        let mut rest = Vec::new();
        let _ = held.read_to_end(&mut rest);
    }
}

fn a_full_queue_pushes_back_and_everybody_is_served_in_the_end(on: Subject) {
    let (_folder, _, url) = place();
    let server = Server::at(on.model, "echo", &url, &["--backlog", "1"], &Begin::default());
    server.signal_all(sys::process::SIGSTOP);
    let mut queued = Vec::new();
    // A halted server takes nothing from its queue, which holds one more than its length.
    let full = loop {
        match sys::socket::connect_start(&server.url.address, None) {
            Ok(fd) => queued.push(fd),
            Err(error) => break error,
        }
        assert!(queued.len() < 8);
    };
    assert_eq!(full.kind(), std::io::ErrorKind::WouldBlock);
    // A blocking connect waits until there is room.
    std::thread::scope(|scope| {
        let waiting: Vec<_> = (0..6).map(|_| scope.spawn(|| server.canary())).collect();
        server.signal_all(sys::process::SIGCONT);
        drop(queued);
        waiting.into_iter().for_each(|one| one.join().unwrap());
    });
}

each_model!(unix:
    the_path_is_gone_after_term_and_no_child_took_it_along,
    the_path_goes_also_where_the_grace_ran_out,
    a_path_left_by_a_killed_server_is_taken_over,
    a_path_in_use_is_not_stolen,
    a_file_that_is_no_socket_is_left_as_it_is,
    an_abstract_name_is_served_and_free_again_at_the_end,
    a_full_queue_pushes_back_and_everybody_is_served_in_the_end,
);
