//! The program's commands. Exit codes: 0 it worked, 1 it failed, 2 the usage or the configuration is wrong.

mod client;
mod config;
mod plugin;
mod run;
mod token;
mod topology;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// Tells merchants the outcome of their orders, in their own format, until they confirm.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
pub struct Command {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Runs the gateway until SIGTERM or SIGINT, then finishes what is under way.
    Run(Run),
    /// Hands a payment result to a running gateway.
    Send(Send),
    /// Tells what became of a notification.
    Status(Status),
    /// Looks after the exchanges and queues on RabbitMQ.
    #[command(subcommand)]
    Topology(TopologyVerb),
    /// Looks at configurations.
    #[command(subcommand)]
    Config(ConfigVerb),
    /// Makes tokens for the API.
    #[command(subcommand)]
    Token(token::TokenVerb),
    /// Tries, records, checks, replays and looks after plugins.
    #[command(subcommand)]
    Plugin(plugin::PluginVerb),
}

#[derive(Debug, Subcommand)]
enum ConfigVerb {
    /// Says what is wrong with a configuration, its merchants and its plugins; starts nothing.
    Check(ConfigFile),
    /// Prints every key with its default.
    Default,
}

#[derive(Debug, Args)]
struct Run {
    #[command(flatten)]
    file: ConfigFile,
    /// Starts, too, when RabbitMQ is set up so that notifications can be lost.
    #[arg(long)]
    accept_weaker: bool,
}

#[derive(Debug, Subcommand)]
enum TopologyVerb {
    /// Shows exchanges and queues, and what is wrong with them. Exit code 1 if notifications can be lost.
    Check(TopologyCheck),
    /// Declares what is not there; starts nothing.
    Declare(ConfigFile),
    /// Moves messages from rungs to the work queue, from where the gateways go on with them. Without an option: what is
    /// over its delay.
    Drain(TopologyDrain),
}

#[derive(Debug, Args)]
struct TopologyCheck {
    #[command(flatten)]
    file: ConfigFile,
    /// Prints JSON, for machines.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct TopologyDrain {
    #[command(flatten)]
    file: ConfigFile,
    /// The rung with this delay in milliseconds, whole. Can be given several times.
    #[arg(long, value_name = "MS")]
    rung: Vec<u64>,
    /// All rungs that belong to no ladder of the configuration, whole.
    #[arg(long)]
    unused: bool,
    /// Deletes rungs that belong to no ladder and are empty then.
    #[arg(long)]
    delete_empty: bool,
}

#[derive(Debug, Args)]
struct ConfigFile {
    /// The gateway's configuration file.
    #[arg(long, value_name = "FILE", default_value = "paynotify.toml")]
    config: PathBuf,
}

#[derive(Debug, Args)]
struct ApiAddress {
    /// Where the gateway's API is. Its token, if it wants one, comes from the environment: PAYNOTIFY_TOKEN.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8460", env = "PAYNOTIFY_API")]
    api: String,
    /// Prints the answer as JSON, for machines.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Send {
    /// The file with the record, as JSON; `-` for standard input.
    record: PathBuf,
    #[command(flatten)]
    api: ApiAddress,
}

#[derive(Debug, Args)]
struct Status {
    /// The notification's id.
    id: String,
    #[command(flatten)]
    api: ApiAddress,
}

/// How a command ends when it does not work.
#[derive(Debug)]
enum Failure {
    /// Exit code 1.
    Failed(anyhow::Error),
    /// Exit code 2: nothing was started. A line for each problem.
    Wrong(Vec<String>),
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Runs the command that the program was started with.
#[must_use]
pub fn main() -> ExitCode {
    let command = Command::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("paynotify: no threads could be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(async {
        match command.verb {
            Verb::Run(run) => run::run(&run).await,
            Verb::Topology(TopologyVerb::Check(check)) => topology::check(&check).await,
            Verb::Topology(TopologyVerb::Declare(file)) => topology::declare(&file.config).await,
            Verb::Topology(TopologyVerb::Drain(drain)) => topology::drain(&drain).await,
            Verb::Send(send) => client::send(&send).await,
            Verb::Status(status) => client::status(&status).await,
            Verb::Config(ConfigVerb::Check(file)) => config::check(&file.config).await,
            Verb::Config(ConfigVerb::Default) => config::print_default(),
            Verb::Token(token::TokenVerb::New(new)) => token::new(&new),
            Verb::Plugin(verb) => plugin::main(&verb).await,
        }
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Failed(error)) => {
            eprintln!("paynotify: {error:#}");
            ExitCode::FAILURE
        }
        Err(Failure::Wrong(lines)) => {
            for line in lines {
                eprintln!("{line}");
            }
            ExitCode::from(2)
        }
    }
}
