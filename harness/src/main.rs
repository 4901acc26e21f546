//! The door to everything: `harness run`, `conform`, `report`, `serve`, `load`, `list`. Not here: anything but the call.

fn main() -> std::process::ExitCode {
    harness::cli::main()
}
