//! `paynotify token new`: a fresh token, and the lines that let it in.

use clap::{Args, Subcommand, ValueEnum};

use super::Failure;
use crate::api::{TokenHash, new_token};
use crate::domain::MerchantId;

#[derive(Debug, Subcommand)]
pub(super) enum TokenVerb {
    /// Makes a token for the API. Prints it, this once, and the lines for the gateway's configuration.
    New(New),
}

#[derive(Debug, Args)]
pub(super) struct New {
    /// What it is for.
    #[arg(long)]
    role: Role,
    /// Whose it is, for the role `merchant`.
    #[arg(long, value_name = "ID", required_if_eq("role", "merchant"))]
    merchant: Option<MerchantId>,
    /// What logs call it by. Without it, the role or the merchant's id.
    #[arg(long)]
    name: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Role {
    /// Hands in payment results, and can ask nothing.
    Ingest,
    /// Asks, and changes nothing.
    Read,
    /// Asks, and changes what runs.
    Operate,
    /// A merchant's own: asks about its own orders alone.
    Merchant,
}

pub(super) fn new(arguments: &New) -> Result<(), Failure> {
    let role = match arguments.role {
        Role::Ingest => "ingest",
        Role::Read => "read",
        Role::Operate => "operate",
        Role::Merchant => "merchant",
    };
    let merchant = match (arguments.role, &arguments.merchant) {
        (Role::Merchant, Some(id)) => Some(id.to_string()),
        (Role::Ingest | Role::Read | Role::Operate, None) => None,
        (Role::Merchant, None) => return Err(Failure::Wrong(vec!["whose token? --merchant ID".to_owned()])),
        (Role::Ingest | Role::Read | Role::Operate, Some(_)) => {
            return Err(Failure::Wrong(vec!["--merchant is for the role `merchant` alone".to_owned()]));
        }
    };
    let token = new_token()?;
    let name = arguments.name.clone().or_else(|| merchant.clone()).unwrap_or_else(|| role.to_owned());
    println!("{}\n", *token);
    println!(
        "# That is the token, shown this once, for whoever uses it. The rest is for the gateway's configuration,"
    );
    println!("# from which nobody can find the token out.");
    println!("[[api.tokens]]");
    println!("name = {}", toml_text(&name));
    println!("role = \"{role}\"");
    if let Some(merchant) = merchant {
        println!("merchant = {}", toml_text(&merchant));
    }
    println!("sha256 = \"{}\"", TokenHash::of(&token));
    Ok(())
}

/// A text as TOML's basic strings have it, which for these is JSON's form.
fn toml_text(text: &str) -> String {
    serde_json::Value::String(text.to_owned()).to_string()
}
