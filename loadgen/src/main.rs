//! The command `loadgen`. Not here: anything but the call.

fn main() -> std::process::ExitCode {
    loadgen::main(std::env::args_os()).into()
}
