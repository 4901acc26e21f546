//! What was asked for stands in the result, and keeps results apart that are not of one load.

use crate::checked;
use crate::cli::{output, stderr};
use crate::peer::Peer;

/// A result of `args` in a file of its own, valid whatever the machine does.
fn stored(folder: &tempfile::TempDir, name: &str, args: &[&str]) -> String {
    let mut load = checked(args);
    load.verdict = record::Verdict::valid();
    let path = folder.path().join(name);
    std::fs::write(&path, serde_json::to_vec(&load).unwrap()).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn every_flag_that_decides_is_in_the_result() {
    let peer = Peer::echo();
    let url = format!("tcp://{}", peer.address);
    let folder = tempfile::tempdir().unwrap();
    let message = folder.path().join("message");
    std::fs::write(&message, "hello").unwrap();
    let send = format!("@{}", message.display());
    let args = ["-n", "20", "-c", "2", "--send", &send, "--expect", "bytes:hello", "--think", "1ms..2ms"];
    let more = [
        "--lifetime",
        "exp:5s",
        "--reconnect",
        "eager",
        "--connect-rate",
        "1k",
        "--idle",
        "3",
        "--source",
        "127.0.0.0/8",
    ];
    let config = checked(&[&args[..], &more, &[&url]].concat()).config;
    assert_eq!(config.request["send"], [format!("{send} (5 bytes, a430d84680aabd0b)")]);
    assert_eq!(config.request["expect"], ["bytes:hello"]);
    assert_eq!((config.think.as_deref(), config.lifetime.as_deref()), (Some("1ms..2ms"), Some("exp:5s")));
    assert_eq!((config.reconnect.as_deref(), config.connect_rate_per_s), (Some("eager"), Some(1_000.0)));
    assert_eq!((config.idle, config.source.as_deref(), config.pipeline), (3, Some("127.0.0.0/8"), 1));
}

#[test]
fn what_proves_who_asks_is_not_written_down() {
    let peer = Peer::service(service::http::Http::default());
    let url = format!("http://{}/", peer.address);
    let secret = "Bearer c2VjcmV0";
    let load = checked(&["-n", "5", "-H", &format!("authorization: {secret}"), "-H", "X-Kind: a", &url]);
    assert_eq!(load.config.request["header"], ["authorization: (15 bytes)", "X-Kind: a"]);
    assert!(!serde_json::to_string(&load).unwrap().contains("c2VjcmV0"));
}

#[test]
fn what_was_asked_for_keeps_results_apart() {
    let peer = Peer::echo();
    let url = format!("tcp://{}", peer.address);
    let folder = tempfile::tempdir().unwrap();
    let base = ["-n", "40", "-c", "2", "--send", "ping", "--expect", "bytes:ping", &url];
    let first = stored(&folder, "a.json", &base);
    for (name, what, more) in [
        ("pipeline", "pipeline", &["--pipeline", "2"][..]),
        ("think", "think", &["--think", "1us"]),
        ("life", "lifetime", &["--lifetime", "1s"]),
        ("range", "requests_per_connection", &["--requests-per-connection", "5..9"]),
        ("policy", "reconnect", &["--reconnect", "never"]),
    ] {
        let other = stored(&folder, name, &[&base[..], more].concat());
        let refused = output(&["merge", "--align", "start", &first, &other]);
        assert_eq!(refused.status.code(), Some(2), "{name}");
        assert!(stderr(&refused).contains(what), "{name}: {}", stderr(&refused));
        let compared = output(&["compare", &first, &other]);
        let text = String::from_utf8(compared.stdout).unwrap();
        assert!(
            text.contains(&format!("{what} differs")),
            "{name}: {text} {}",
            String::from_utf8_lossy(&compared.stderr)
        );
    }
    let words = ["-n", "40", "-c", "2", "--send", "pong", "--expect", "bytes:pong", &url];
    let other = stored(&folder, "words", &words);
    let refused = output(&["merge", "--align", "start", &first, &other]);
    assert!(refused.status.code() == Some(2) && stderr(&refused).contains("request"), "{}", stderr(&refused));
}

#[test]
fn shards_become_one_run_and_know_what_is_missing() {
    let peer = Peer::echo();
    let url = format!("tcp://{}", peer.address);
    let folder = tempfile::tempdir().unwrap();
    let shard = |i: &str, n: &str| {
        stored(
            &folder,
            &format!("{i}of{n}"),
            &["-R", "600", "-d", "500ms", "-c", "2", "--shard", &format!("{i}/{n}"), &url],
        )
    };
    let (a, b, c) = (shard("0", "3"), shard("1", "3"), shard("2", "3"));
    let merged = folder.path().join("m");
    let merge = |files: &[&str]| {
        output(&[&["merge", "--align", "start", "-q", "--json", merged.to_str().unwrap()], files].concat())
    };
    let read = || serde_json::from_slice::<record::Load>(&std::fs::read(&merged).unwrap()).unwrap();
    merge(&[&a, &b, &c]);
    let whole = read();
    assert_eq!(
        (whole.requests.scheduled, whole.config.rate_per_s, whole.config.shard.as_deref()),
        (300, Some(600.0), None)
    );
    assert!(!whole.verdict.reasons.iter().any(|r| r.contains("shard")), "{:?}", whole.verdict);
    merge(&[&a, &b]);
    assert!(read().verdict.reasons.iter().any(|r| r.contains("1 of 3 shards")), "{:?}", read().verdict);
    let refused = merge(&[&a, &shard("1", "2")]);
    assert!(refused.status.code() == Some(2) && stderr(&refused).contains("shard"), "{}", stderr(&refused));
}
