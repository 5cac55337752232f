//! The program's commands. Exit codes: 0 it worked, 1 it failed, 2 the usage or the configuration is wrong.

mod client;
mod config;
mod list;
mod merchants;
mod plugin;
mod poison;
mod replay;
mod run;
mod selection;
mod send;
mod service;
mod status;
mod story;
mod table;
mod tail;
mod token;
mod topology;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};

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
    /// Tells how it stands with a gateway; with an id, what became of a notification.
    Status(status::Status),
    /// Lists notifications, the newest first.
    List(list::List),
    /// Begins notifications that have ended anew: one by its id, or many by what they have in common.
    Replay(replay::Replay),
    /// Shows attempts as they happen.
    Tail(tail::Tail),
    /// Shows how it stands with each merchant; pauses and resumes one.
    Merchants(merchants::Merchants),
    /// Shows which versions of which plugins a gateway runs, and which files it has refused.
    Plugins(plugin::List),
    /// Shows what could not be worked upon; puts it back or throws it away.
    Poison(poison::Poison),
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
    /// Makes the gateway a service of systemd's.
    #[command(subcommand)]
    Service(service::ServiceVerb),
    /// Prints what has a shell complete these commands.
    Completions {
        /// For which shell.
        shell: clap_complete::Shell,
    },
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
            Verb::Send(send) => send::send(&send).await,
            Verb::Status(status) => status::status(&status).await,
            Verb::List(list) => list::list(&list).await,
            Verb::Replay(replay) => replay::replay(&replay).await,
            Verb::Tail(tail) => tail::tail(&tail).await,
            Verb::Merchants(merchants) => merchants::merchants(&merchants).await,
            Verb::Plugins(list) => plugin::list(&list).await,
            Verb::Poison(poison) => poison::poison(&poison).await,
            Verb::Config(ConfigVerb::Check(file)) => config::check(&file.config).await,
            Verb::Config(ConfigVerb::Default) => config::print_default(),
            Verb::Token(token::TokenVerb::New(new)) => token::new(&new),
            Verb::Plugin(verb) => plugin::main(&verb).await,
            Verb::Service(verb) => service::main(&verb),
            Verb::Completions { shell } => completions(shell),
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

fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Command::command(), "paynotify", &mut script);
    Ok(client::print(&String::from_utf8_lossy(&script))?)
}
