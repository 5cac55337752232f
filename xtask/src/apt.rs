//! Packages of the machine's own Debian mirror, downloaded and never installed.
//!
//! The mirror and its keyring are read from the machine's apt sources; nothing here names a host. Sources, lists, cache
//! and state are private, in a folder of ours, so the machine's own stay as they are and no root is needed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::output;

/// An archive that the machine trusts: where, and signed by whom.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Archive {
    uri: String,
    /// A keyring's path; without one apt asks its trusted keys.
    signed_by: Option<String>,
}

/// The archive that the machine takes its release's `suffix` from: `""` for the release itself, `"-security"` for its
/// security updates.
pub(crate) fn machine_archive(suffix: &str) -> Result<Archive> {
    let suite = machine_suite()? + suffix;
    let sources = machine_sources()?;
    archive_of(&sources, &suite)
        .with_context(|| format!("the machine's apt sources name no mirror of {suite}"))
}

/// The machine's own release of Debian: `bookworm`.
pub(crate) fn machine_suite() -> Result<String> {
    let release = fs::read_to_string("/etc/os-release").context("/etc/os-release cannot be read")?;
    let field = |name: &str| {
        let value = release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value.unwrap_or_default().trim_matches('"').to_owned()
    };
    if field("ID") != "debian" {
        bail!("this machine is not a Debian one");
    }
    Ok(field("VERSION_CODENAME"))
}

/// A package as the archive's index tells it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Package {
    /// Its name.
    pub(crate) name: String,
    /// Its version, Debian's revision included.
    pub(crate) version: String,
    /// The names of what it depends on.
    pub(crate) depends: Vec<String>,
}

/// An apt of our own, which sees one suite of one archive.
pub(crate) struct PrivateApt {
    configuration: PathBuf,
}

impl PrivateApt {
    /// Fetches the suite's index into the folder.
    pub(crate) fn update(folder: &Path, archive: &Archive, suite: &str) -> Result<Self> {
        let lists = folder.join("lists");
        for made in [lists.join("partial"), folder.join("archives/partial")] {
            fs::create_dir_all(&made).with_context(|| format!("{} cannot be made", made.display()))?;
        }
        let signed_by =
            archive.signed_by.as_ref().map_or_else(String::new, |path| format!("[signed-by={path}] "));
        let shown = folder.display();
        // Programs that the machine's apt runs after an update (container images clean up so) are none of our business.
        let configuration = format!(
            "#clear APT::Update::Post-Invoke;\n#clear APT::Update::Post-Invoke-Success;\nAPT::Sandbox::User \"root\";\n\
             Dir::Etc::SourceList \"{shown}/sources.list\";\nDir::Etc::SourceParts \"/dev/null\";\n\
             Dir::Etc::Preferences \"/dev/null\";\nDir::Etc::PreferencesParts \"/dev/null\";\n\
             Dir::State \"{shown}\";\nDir::State::status \"{shown}/status\";\nDir::State::Lists \"{shown}/lists\";\n\
             Dir::Cache \"{shown}\";\nDir::Cache::Archives \"{shown}/archives\";\n\
             Dir::Cache::pkgcache \"\";\nDir::Cache::srcpkgcache \"\";\n"
        );
        write(&folder.join("sources.list"), &format!("deb {signed_by}{} {suite} main\n", archive.uri))?;
        write(&folder.join("status"), "")?;
        write(&folder.join("apt.conf"), &configuration)?;
        let apt = Self { configuration: folder.join("apt.conf") };
        output(apt.command("apt-get").args(["update", "-qq", "--error-on=any"]))?;
        Ok(apt)
    }

    /// Every version of the package that the suite has, the newest first. Empty when it has none.
    pub(crate) fn versions(&self, name: &str) -> Result<Vec<Package>> {
        // `show` fails for a name that nobody has; for us that is an answer.
        let known = output(self.command("apt-cache").args(["pkgnames", name]))?;
        if !known.lines().any(|line| line == name) {
            return Ok(Vec::new());
        }
        Ok(parse_packages(&output(self.command("apt-cache").args(["show", name]))?))
    }

    /// Downloads the package, checked against the signed index, and returns the file's path in the folder.
    pub(crate) fn download(&self, package: &Package, into: &Path) -> Result<PathBuf> {
        fs::create_dir_all(into).with_context(|| format!("{} cannot be made", into.display()))?;
        let wanted = format!("{}={}", package.name, package.version);
        output(self.command("apt-get").args(["download", "-qq", &wanted]).current_dir(into))?;
        let begin = format!("{}_", package.name);
        for entry in fs::read_dir(into)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(&begin) {
                return Ok(entry.path());
            }
        }
        bail!("apt-get downloaded {wanted}, but there is no such file in {}", into.display())
    }

    /// Downloads these packages and all that they depend on, recommendations left out, checked against the signed
    /// index, into an empty folder, and returns the files' paths.
    ///
    /// This apt knows of no installed package, so nothing that the machine has is left out. What Debian calls essential
    /// is depended on by nobody: it must be asked for by name.
    pub(crate) fn download_with_dependencies(&self, names: &[&str], into: &Path) -> Result<Vec<PathBuf>> {
        let partial = into.join("partial");
        fs::create_dir_all(&partial).with_context(|| format!("{} cannot be made", partial.display()))?;
        let mut apt_get = self.command("apt-get");
        apt_get.arg("-o").arg(format!("Dir::Cache::Archives={}", into.display()));
        apt_get.args(["install", "-qq", "--yes", "--download-only", "--no-install-recommends"]);
        output(apt_get.args(names))?;
        let mut files = Vec::new();
        for entry in fs::read_dir(into)? {
            files.push(entry?.path());
        }
        files.retain(|file| file.extension().is_some_and(|extension| extension == "deb"));
        Ok(files)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.arg("-c").arg(&self.configuration).env("LC_ALL", "C");
        command
    }
}

/// One line or stanza of the machine's sources.
#[derive(Debug, PartialEq)]
struct Source {
    archive: Archive,
    suites: Vec<String>,
    components: Vec<String>,
}

fn machine_sources() -> Result<Vec<Source>> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(folder) = fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(folder.flatten().map(|entry| entry.path()));
    }
    files.sort();
    let mut sources = Vec::new();
    for file in files.iter().filter(|file| file.is_file()) {
        let text = || fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()));
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("list") => sources.extend(text()?.lines().filter_map(parse_line)),
            Some("sources") => sources.extend(parse_stanzas(&text()?)),
            Some(_) | None => {}
        }
    }
    Ok(sources)
}

/// The archive of the suite. Other vendors name their suites like Debian's, so a path like Debian's goes first.
fn archive_of(sources: &[Source], suite: &str) -> Option<Archive> {
    let has = |list: &[String], wanted: &str| list.iter().any(|item| item == wanted);
    let mut fitting =
        sources.iter().filter(|source| has(&source.suites, suite) && has(&source.components, "main"));
    let archive = |source: &Source| source.archive.clone();
    let first = fitting.clone().next().map(archive);
    fitting.find(|source| source.archive.uri.contains("/debian")).map(archive).or(first)
}

/// A line of a `.list` file: `deb [options] uri suite component…` (sources.list(5)).
fn parse_line(line: &str) -> Option<Source> {
    let rest = line.trim().strip_prefix("deb ")?.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']')?,
        None => ("", rest),
    };
    let rest = rest.split('#').next().unwrap_or_default();
    let mut words = rest.split_whitespace().map(str::to_owned);
    let (uri, suite) = (words.next()?, words.next()?);
    let signed_by = options.split_whitespace().find_map(|option| option.strip_prefix("signed-by="));
    Some(Source {
        archive: Archive { uri, signed_by: keyring(signed_by) },
        suites: vec![suite],
        components: words.collect(),
    })
}

/// The stanzas of a `.sources` file (deb822(5)).
fn parse_stanzas(text: &str) -> Vec<Source> {
    stanzas(text).iter().filter_map(|stanza| parse_stanza(stanza)).collect()
}

fn parse_stanza(stanza: &[(String, String)]) -> Option<Source> {
    let field = |name: &str| {
        stanza.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    };
    let words = |name: &str| {
        field(name).unwrap_or_default().split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    if field("Enabled") == Some("no") || !words("Types").contains(&"deb".to_owned()) {
        return None;
    }
    let archive = Archive { uri: words("URIs").into_iter().next()?, signed_by: keyring(field("Signed-By")) };
    Some(Source { archive, suites: words("Suites"), components: words("Components") })
}

/// A keyring's path. A key written out in the source itself is left to apt's trusted keys.
fn keyring(signed_by: Option<&str>) -> Option<String> {
    signed_by
        .filter(|value| value.starts_with('/') && !value.contains(char::is_whitespace))
        .map(str::to_owned)
}

fn parse_packages(text: &str) -> Vec<Package> {
    let package = |stanza: &Vec<(String, String)>| {
        let field = |name: &str| stanza.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        let depends = field("Depends").unwrap_or_default();
        let depends =
            depends.split(',').filter_map(|one| one.split_whitespace().next()).map(str::to_owned).collect();
        Some(Package { name: field("Package")?, version: field("Version")?, depends })
    };
    stanzas(text).iter().filter_map(package).collect()
}

/// Fields by name, stanza by stanza. Comments are dropped; the lines of a long value are joined with a blank.
fn stanzas(text: &str) -> Vec<Vec<(String, String)>> {
    let mut stanzas: Vec<Vec<(String, String)>> = vec![Vec::new()];
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if line.trim().is_empty() {
            stanzas.push(Vec::new());
            continue;
        }
        let Some(stanza) = stanzas.last_mut() else { continue };
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = stanza.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            stanza.push((name.to_owned(), value.trim().to_owned()));
        }
    }
    stanzas.retain(|stanza| !stanza.is_empty());
    stanzas
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
}

#[cfg(test)]
#[path = "apt_tests.rs"]
mod tests;
