//! What the generator counted is what the other side counted: other people's servers, and the wire. Not here: what the numbers mean.
//!
//! Each test says aloud that it could not be made where the program is not installed.

use crate::program::{Program, free_port};
use crate::{checked, skipped};
use record::Load;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Runs the command on `target`: 1,500 requests over 5 connections.
fn load(target: &str, args: &[&str]) -> Load {
    let load = checked(&[&["-c", "5", "-n", "1500"], args, &[target]].concat());
    assert_eq!((load.requests.completed, load.errors.len()), (1_500, 0), "{:?}", load.errors);
    load
}

/// Waits until the lines of `path` that `belong` are as many as expected, or no more come.
fn lines(path: &Path, belong: impl Fn(&str) -> bool) -> Vec<String> {
    let deadline = Instant::now() + Duration::from_secs(2);
    loop {
        let text = fs::read_to_string(path).unwrap_or_default();
        let found: Vec<_> = text.lines().filter(|line| belong(line)).map(str::to_owned).collect();
        if found.len() >= 1_500 || Instant::now() > deadline {
            return found;
        }
        sys::clock::pause(Duration::from_millis(10));
    }
}

/// Says `ask` to the server at `port`, and takes lines up to the one that is `last`.
fn asked(port: u16, ask: &str, last: &str) -> Vec<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(ask.as_bytes()).unwrap();
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    lines.take_while(|line| line.trim_end() != last).collect()
}

#[test]
fn nginx_has_the_same_requests_and_bytes_in_its_log() {
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let at = folder.path().display().to_string();
    fs::write(folder.path().join("index.html"), [b'x'; 300]).unwrap();
    let text = format!(
        "daemon off; master_process off; worker_processes 1; pid {at}/pid; error_log {at}/error.log;
         events {{ worker_connections 64; }}
         http {{
           log_format sizes '$status $bytes_sent $request_length';
           client_body_temp_path {at}/a; proxy_temp_path {at}/b; fastcgi_temp_path {at}/c;
           uwsgi_temp_path {at}/d; scgi_temp_path {at}/e;
           keepalive_requests 1000000;
           server {{ listen 127.0.0.1:{port}; root {at}; access_log {at}/access.log sizes; }}
         }}"
    );
    let config = folder.path().join("nginx.conf");
    fs::write(&config, text).unwrap();
    let args = ["-c", config.to_str().unwrap(), "-e", &format!("{at}/error.log")];
    let Some(mut nginx) = Program::start("nginx", &args, Stdio::null()) else { return };
    nginx.wait_for_port(port);
    let load = load(&format!("http://127.0.0.1:{port}/index.html"), &[]);
    let log = lines(&folder.path().join("access.log"), |line| line.starts_with("200 "));
    let sum =
        |column| log.iter().map(|l| l.split(' ').nth(column).unwrap().parse::<u64>().unwrap()).sum::<u64>();
    assert_eq!(log.len(), 1_500);
    assert_eq!((load.bytes.received, load.bytes.sent), (sum(1), sum(2)));
}

#[test]
fn redis_counts_the_same_commands() {
    let port = free_port();
    let args = ["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
    let Some(mut redis) = Program::start("redis-server", &args, Stdio::null()) else { return };
    redis.wait_for_port(port);
    let target = format!("tcp://127.0.0.1:{port}");
    load(
        &target,
        &["--send", "*1\\r\\n$4\\r\\nPING\\r\\n", "--expect", "bytes:+PONG\\r\\n", "--pipeline", "3"],
    );
    let stats = asked(port, "INFO commandstats\r\n", "");
    assert!(stats.iter().any(|line| line.starts_with("cmdstat_ping:calls=1500,")), "{stats:?}");
}

#[test]
fn memcached_counts_the_same_commands_and_bytes() {
    let port = free_port();
    let args = ["-p", &port.to_string(), "-l", "127.0.0.1", "-U", "0", "-u", "root"];
    let Some(mut memcached) = Program::start("memcached", &args, Stdio::null()) else { return };
    memcached.wait_for_port(port);
    let target = format!("tcp://127.0.0.1:{port}");
    let load = load(&target, &["--send", "get k{seq}\\r\\n", "--expect", "bytes:END\\r\\n"]);
    let stats = asked(port, "stats\r\n", "END");
    let stat = |name: &str| {
        let line = stats.iter().find_map(|line| line.strip_prefix(&format!("STAT {name} ")));
        line.and_then(|value| value.trim().parse::<u64>().ok()).unwrap_or_else(|| panic!("{name}: {stats:?}"))
    };
    // The question itself is 7 bytes, and is answered after it was counted.
    assert_eq!(
        (stat("cmd_get"), stat("bytes_read"), stat("bytes_written")),
        (1_500, load.bytes.sent + 7, load.bytes.received)
    );
}

#[test]
fn pythons_http_server_logs_the_same_requests() {
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let log = folder.path().join("log");
    fs::write(folder.path().join("file"), "content").unwrap();
    let at = folder.path().to_str().unwrap();
    let args = ["-u", "-m", "http.server", &port.to_string(), "--bind", "127.0.0.1", "--directory", at];
    let Some(mut python) = Program::start("python3", &args, File::create(&log).unwrap()) else { return };
    python.wait_for_port(port);
    load(&format!("http://127.0.0.1:{port}/file"), &["--expect-body", "content"]);
    assert_eq!(lines(&log, |line| line.contains("\"GET /file HTTP/1.1\" 200")).len(), 1_500);
}

/// Payload of the TCP segments in a capture (pcap, Ethernet framing, IPv4), by their source port.
fn payload(capture: &[u8], port: u16) -> (u64, u64) {
    let (mut sent, mut received, mut at) = (0, 0, 24);
    let number = |bytes: &[u8]| u64::from(u16::from_be_bytes([bytes[0], bytes[1]]));
    while let Some(head) = capture.get(at..at + 16) {
        let kept = u32::from_le_bytes([head[8], head[9], head[10], head[11]]) as usize;
        // The last one may not be written whole yet.
        let Some(ip) = capture.get(at + 16 + 14..at + 16 + kept) else { break };
        let ip_head = usize::from(ip[0] & 15) * 4;
        let tcp = &ip[ip_head..];
        let bytes = number(&ip[2..]) - ip_head as u64 - u64::from(tcp[12] >> 4) * 4;
        if number(tcp) == u64::from(port) {
            received += bytes
        } else {
            sent += bytes
        }
        at += 16 + kept;
    }
    (sent, received)
}

#[test]
fn the_wire_has_the_same_bytes() {
    let peer = crate::peer::Peer::echo();
    let folder = tempfile::tempdir().unwrap();
    let (capture, words) = (folder.path().join("capture"), folder.path().join("words"));
    let port = peer.address.port();
    let filter = format!("tcp port {port}");
    let file = capture.to_str().unwrap();
    let args = ["-i", "lo", "-U", "-s", "128", "-B", "32768", "-Z", "root", "-w", file, &filter];
    let Some(tcpdump) = Program::start("tcpdump", &args, File::create(&words).unwrap()) else { return };
    let deadline = Instant::now() + Duration::from_secs(5);
    while !fs::read_to_string(&words).unwrap().contains("listening on") {
        if Instant::now() > deadline {
            return skipped("tcpdump may not listen here");
        }
        sys::clock::pause(Duration::from_millis(10));
    }
    let load = load(&format!("tcp://127.0.0.1:{port}"), &["--size", "700"]);
    let expected = (load.bytes.sent, load.bytes.received);
    // The capture is written behind the wire.
    let deadline = Instant::now() + Duration::from_secs(5);
    let seen = loop {
        let seen = payload(&fs::read(&capture).unwrap(), port);
        if seen == expected || Instant::now() > deadline {
            break seen;
        }
        sys::clock::pause(Duration::from_millis(50));
    };
    tcpdump.signal(sys::process::SIGTERM);
    assert_eq!(expected, (1_500 * 700, 1_500 * 700));
    assert_eq!(seen, expected, "{}", fs::read_to_string(&words).unwrap());
}
