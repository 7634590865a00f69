//! The binary `cleave`; everything is in the library, so that tests reach it.

fn main() -> std::process::ExitCode {
    cleave_cli::main(std::env::args_os())
}
