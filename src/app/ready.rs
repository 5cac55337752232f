//! One merchant put together: its file held against its plugin.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::config::{self, Config, LadderChoice, Problem, ProxyChoice};
use crate::delivery::{Merchant, Shadow, Way};
use crate::domain::{GatePolicy, Ladder, Origin, Withheld};
use crate::{http, plugin};

/// What all merchants have in common: what their files need not say, and whom is trusted.
pub(super) struct Terms {
    /// Bounds of the way to a merchant that does not say otherwise.
    http: http::Settings,
    /// Subnets that are allowed for every merchant.
    allow_addresses: Vec<http::Subnet>,
    /// Bounds of attempts for a merchant that does not say otherwise.
    gate: GatePolicy,
    /// The ladder of merchants without one of their own.
    ladder: Ladder,
    roots: http::TlsRoots,
    /// The way to merchants that do not say otherwise.
    proxy: ProxyChoice,
    /// Where plugins are, for messages about them.
    plugins: PathBuf,
}

impl Terms {
    /// Reads the system's trusted authorities.
    pub(super) fn new(config: &Config) -> Result<Self, http::InvalidRoots> {
        let roots = http::TlsRoots::system()?;
        let (http, gate) = (config.http, config.gate);
        let (ladder, plugins) = (config.ladder.clone(), config.plugins.clone());
        let allow_addresses = config.allow_addresses.clone();
        let proxy = config.proxy.clone();
        Ok(Self { http, allow_addresses, gate, ladder, roots, proxy, plugins })
    }
}

/// Puts a merchant together with a plugin, and with the one that it wants beside it, if they fit. What was there `before` hands its way on.
///
/// # Errors
/// Why they do not fit, by the line and key of the merchant's file.
pub(super) async fn ready(
    terms: &Terms,
    merchant: &config::Merchant,
    (plugin, beside): (&plugin::Plugin, Option<&plugin::Plugin>),
    before: Option<&Merchant>,
) -> Result<Merchant, Problem> {
    plugin
        .check_settings(&merchant.settings_json)
        .await
        .map_err(|error| merchant.wrong("settings", error))?;
    let shadow = shadow(terms, merchant, beside).await?;
    check_keys(merchant, plugin, shadow.as_ref().map(Shadow::plugin))?;
    let ladder = ladder(terms, merchant, plugin)?;
    let endpoint = plugin::Endpoint {
        url: merchant.url.clone(),
        origins: merchant.origins.clone(),
        settings_json: merchant.settings_json.clone(),
        keys: merchant.keys.clone(),
    };
    let mut settings = terms.http;
    let theirs = merchant.timeouts;
    settings.timeouts.connect = theirs.connect.unwrap_or(settings.timeouts.connect);
    // Who gives only the total means that the reply may take as long.
    settings.timeouts.first_byte = theirs.first_byte.or(theirs.total).unwrap_or(settings.timeouts.first_byte);
    settings.timeouts.total = theirs.total.unwrap_or(settings.timeouts.total);
    let in_flight = merchant.in_flight.unwrap_or(terms.gate.in_flight);
    let gate = GatePolicy { in_flight, rate: merchant.rate, ..terms.gate };
    let reach = reach(terms, merchant)?;
    let roots = roots(terms, merchant)?;
    let way = Way::new(&settings, &reach, gate, &roots, before.map(|before| &before.way));
    let authorization = merchant.authorization.clone();
    let withheld = withheld(merchant);
    Ok(Merchant { plugin: plugin.clone(), endpoint, ladder, authorization, withheld, shadow, way })
}

/// Where the merchant's connections may go. What can be told to be refused without looking a name up is told now.
fn reach(terms: &Terms, merchant: &config::Merchant) -> Result<http::Reach, Problem> {
    let allowed = terms.allow_addresses.iter().chain(&merchant.allow_addresses).copied();
    let reach = http::Reach::guarded(allowed, merchant.origins.iter().map(Origin::port));
    for (index, origin) in merchant.origins.iter().enumerate() {
        let key = if index == 0 { "url" } else { "origins" };
        reach.check_host(origin.host(), origin.port()).map_err(|refusal| {
            let problem = format!("{refusal}: if it is meant, name it or its subnet there");
            merchant.wrong(key, problem)
        })?;
    }
    let proxy = match merchant.proxy.as_ref().unwrap_or(&terms.proxy) {
        ProxyChoice::Straight => None,
        ProxyChoice::Through(proxy) => Some(proxy.clone()),
    };
    Ok(reach.through(proxy))
}

/// What of the merchant's own nobody is to read: its URL may have a secret in the query, and its replies may quote its credentials.
fn withheld(merchant: &config::Merchant) -> Withheld {
    let credentials = merchant.authorization.as_ref().and_then(|value| value.to_str().ok());
    let credentials =
        credentials.and_then(|text| text.split_once(' ')).map(|(_, credentials)| credentials.trim());
    let decoded =
        credentials.and_then(|text| STANDARD.decode(text).ok()).and_then(|text| String::from_utf8(text).ok());
    let password = decoded.and_then(|text| text.split_once(':').map(|(_, password)| password.to_owned()));
    Withheld::of_url(&merchant.url).and(credentials.map(str::to_owned).into_iter().chain(password))
}

/// Whom we believe that it is the merchant, and with what we prove to it who we are.
fn roots(terms: &Terms, merchant: &config::Merchant) -> Result<http::TlsRoots, Problem> {
    let mut roots = terms.roots.clone();
    if let Some(authorities) = &merchant.authorities {
        let extended = roots.and_private(authorities.as_bytes());
        roots = extended.map_err(|error| merchant.wrong("ca_file", error))?;
    }
    if let Some(identity) = &merchant.identity {
        let extended = roots.with_identity(identity);
        roots = extended.map_err(|error| merchant.wrong("client_certificate", error))?;
    }
    Ok(roots)
}

/// The plugin that runs beside the merchant's own: it is told the same, but for its settings.
async fn shadow(
    terms: &Terms,
    merchant: &config::Merchant,
    plugin: Option<&plugin::Plugin>,
) -> Result<Option<Shadow>, Problem> {
    let Some(config::Shadow { plugin: name, settings_json }) = &merchant.shadow else { return Ok(None) };
    let Some(plugin) = plugin else {
        let folder = terms.plugins.display();
        return Err(merchant.wrong("shadow", format!("no plugin in {folder} is named `{name}`")));
    };
    plugin.check_settings(settings_json).await.map_err(|error| merchant.wrong("shadow_settings", error))?;
    let lacks =
        |need: &&plugin::KeyNeed| need.required && !merchant.keys.iter().any(|key| key.role() == need.role);
    if let Some(need) = plugin.description().keys.iter().find(lacks) {
        let problem = format!("plugin `{name}` needs a key of the role `{}`: {}", need.role, need.summary);
        return Err(merchant.wrong("shadow", problem));
    }
    let endpoint = plugin::Endpoint {
        url: merchant.url.clone(),
        origins: merchant.origins.clone(),
        settings_json: settings_json.clone(),
        keys: merchant.keys.clone(),
    };
    Ok(Some(Shadow::new(plugin.clone(), endpoint)))
}

/// Holds the merchant's keys against what its plugin asks for. A key can be there for its shadow alone.
fn check_keys(
    merchant: &config::Merchant,
    plugin: &plugin::Plugin,
    shadow: Option<&plugin::Plugin>,
) -> Result<(), Problem> {
    let needs = &plugin.description().keys;
    let needs_of_shadow = shadow.map_or(&[][..], |shadow| &shadow.description().keys[..]);
    for (index, key) in merchant.keys.iter().enumerate() {
        let Some(need) = needs.iter().chain(needs_of_shadow).find(|need| need.role == key.role()) else {
            let roles: Vec<_> = needs.iter().map(|need| format!("`{}`", need.role)).collect();
            let roles = if roles.is_empty() { "none at all".to_owned() } else { roles.join(", ") };
            let problem = format!(
                "plugin `{}` has no use for a key of the role `{}`; its roles are: {roles}",
                merchant.plugin,
                key.role()
            );
            return Err(merchant.wrong(&format!("keys[{index}].role"), problem));
        };
        if !key.algorithm().does_for(&need.algorithms) {
            let does = |algorithm: &&plugin::KeyAlgorithm| algorithm.does_for(&need.algorithms);
            let names =
                plugin::KeyAlgorithm::ALL.iter().filter(does).map(|algorithm| format!("`{algorithm}`"));
            let problem = format!(
                "the role `{}` of plugin `{}` takes a key of {}, not of `{}`",
                need.role,
                merchant.plugin,
                names.collect::<Vec<_>>().join(" or "),
                key.algorithm()
            );
            return Err(merchant.wrong(&format!("keys[{index}].algorithm"), problem));
        }
    }
    let lacks =
        |need: &&plugin::KeyNeed| need.required && !merchant.keys.iter().any(|key| key.role() == need.role);
    match needs.iter().find(lacks) {
        Some(need) => {
            let problem = format!(
                "plugin `{}` needs a key of the role `{}`: {}",
                merchant.plugin, need.role, need.summary
            );
            Err(merchant.wrong("keys", problem))
        }
        None => Ok(()),
    }
}

fn ladder(terms: &Terms, merchant: &config::Merchant, plugin: &plugin::Plugin) -> Result<Ladder, Problem> {
    let delays = match &merchant.ladder {
        None => terms.ladder.delays().to_vec(),
        Some(LadderChoice::Own(delays)) => delays.clone(),
        Some(LadderChoice::OfPlugin(name)) => {
            let presets = &plugin.description().ladders;
            let Some(preset) = presets.iter().find(|preset| preset.name == *name) else {
                let names: Vec<_> = presets.iter().map(|preset| preset.name.as_str()).collect();
                let problem = format!(
                    "plugin `{}` has no ladder `{name}`, only: {}",
                    merchant.plugin,
                    names.join(", ")
                );
                return Err(merchant.wrong("ladder", problem));
            };
            preset.delays.clone()
        }
    };
    let jitter = merchant.jitter.unwrap_or(terms.ladder.jitter());
    Ladder::new(delays, jitter).map_err(|error| merchant.wrong("ladder", error))
}
