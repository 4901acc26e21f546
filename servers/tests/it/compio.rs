//! A completion runtime where the kernel forbids io_uring. Not here: what all models must do.

use crate::fixture::run_with;
use sys::spawn::Begin;

#[test]
fn where_io_uring_is_forbidden_compio_says_so_and_becomes_no_other_model() {
    let begin = Begin { forbid_uring: true, ..Begin::default() };
    let output = run_with(&["compio"], &begin);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.starts_with("server: Unsupported: ") && text.contains("forbidden"), "{text}");
    assert_eq!((text.lines().count(), output.stdout.len()), (1, 0), "{text}");
    let help = run_with(&["--help"], &begin);
    let text: String = String::from_utf8_lossy(&help.stdout).split_whitespace().collect();
    assert!(help.status.code() == Some(0) && text.contains("unsupportedhere:io_uringisforbidden"), "{text}");
}
