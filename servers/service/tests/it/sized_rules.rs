//! The rules of `sized`, a row each. Not here: cuts.

use crate::driver::converse;
use service::sized::SizedService;
use service::{Output, Protocol, Service, Step, pattern};

const NOT_A_NUMBER: &str = "error: a request is a number of bytes and a newline\n";
const LINE_TOO_LONG: &str = "error: a request is at most 64 bytes long\n";
const TOO_LARGE: &str = "error: a reply is at most 16777216 bytes long\n";
const BAD_WORK: &str = "error: handler work is spin=TIME or sleep=TIME, at most 10s\n";

/// The replies of these sizes, and then the words and the end.
fn check(request: &str, sizes: &[u64], words: &str) {
    let got = converse(&SizedService::default(), &[request.as_bytes()], false, 1);
    let mut rest = got.sent.as_slice();
    for size in sizes {
        let reply;
        (reply, rest) = rest.split_at(*size as usize);
        assert_eq!(pattern::first_difference(*size, reply), None, "{request:?}");
    }
    assert_eq!(String::from_utf8_lossy(rest), words, "{request:?}");
    assert_eq!(got.step, if words.is_empty() { Step::Read } else { Step::Linger }, "{request:?}");
}

#[test]
fn a_line_is_answered_with_so_many_bytes() {
    check("5\n", &[5], "");
    check("0\n", &[], "");
    check("5\r\n100000\n0\n7\r\n", &[5, 100_000, 0, 7], "");
    check("16777216\n", &[16 << 20], "");
    check("5 spin=50us\n6 sleep=0\r\n", &[5, 6], "");
    check("00000000000000000000000000000000000000000000000000000000000005\r\n", &[5], "");
    check("12", &[], "");
}

#[test]
fn what_is_no_request_ends_the_connection_with_a_word() {
    for request in ["\n", "\r\n", "x", "-1\n", "+1\n", "G", "1x\n", "1_0\n", "0x1\n", "1\r\r\n", " 1\n"] {
        check(request, &[], NOT_A_NUMBER);
    }
    for request in ["16777217\n", "99999999999999999999999999\n", "16777217 spin=1us\n"] {
        check(request, &[], TOO_LARGE);
    }
    for request in ["1 \n", "1 spin\n", "1 rest=1us\n", "1 spin=11s\n", "1  spin=1us\n", "1 spin=1us \n"] {
        check(request, &[], BAD_WORK);
    }
    check(&"0".repeat(64), &[], LINE_TOO_LONG);
    check(&format!("{}\n", "0".repeat(64)), &[], LINE_TOO_LONG);
    check("3\nthree\n3\n", &[3], NOT_A_NUMBER);
}

#[test]
fn nothing_is_said_after_the_last_word() {
    let mut conn = SizedService::default().open();
    let mut out = Output::new();
    assert_eq!(conn.on_input(b"x", &mut out), (1, Step::Linger));
    out.take(b"x");
    assert_eq!(conn.on_input(b"5\n", &mut out), (2, Step::Linger));
    assert!(out.is_empty());
}
