//! The thin binary: installs the one TLS provider and runs one command.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    // Every TLS user of this process shares one provider; a second call would be refused, and
    // nothing before this line can have made one.
    if rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .is_err()
    {
        careloop::cli::output::error("careloop: the TLS provider was installed twice");
        return ExitCode::FAILURE;
    }
    careloop::cli::run(std::env::args_os()).await
}
