//! `server MODEL --listen URL …`: one server of the zoo. Not here: anything but the call.

fn main() -> std::process::ExitCode {
    servers::main(std::env::args_os())
}
