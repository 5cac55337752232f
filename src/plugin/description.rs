//! What a plugin says of itself, checked once, when its file is loaded.

use std::time::Duration;

use super::crypto::Algorithm;
use super::fault::for_people;
use crate::domain::{InvalidLadder, Jitter, Ladder};

/// What a plugin says of itself. The contract (`wit/merchant.wit`, `record description`) says what each field means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The format's name: 1 to 64 characters of `a-z 0-9 -`.
    pub name: String,
    /// The plugin's own version: 1 to 64 visible ASCII characters.
    pub version: String,
    /// One line for people, cut at 200 characters.
    pub summary: String,
    /// A JSON Schema of the settings, as the text of a JSON object.
    pub settings_schema: String,
    /// The keys it needs, at most 32, each role once.
    pub keys: Vec<KeyNeed>,
    /// The ladders it brings along, at most 32, each name once.
    pub ladders: Vec<LadderPreset>,
}

/// A key that the format needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyNeed {
    /// The plugin's name for it: 1 to 64 characters of `a-z 0-9 -`.
    pub role: String,
    /// What it is for, for people, cut at 200 characters.
    pub summary: String,
    /// What it may be used with. Empty: it seals with AES-256-GCM.
    pub algorithms: Vec<Algorithm>,
    /// Without it the format does not work at all.
    pub required: bool,
}

/// A ladder that the format's inventor publishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LadderPreset {
    /// Its name: 1 to 64 characters of `a-z 0-9 -`.
    pub name: String,
    /// The waits between attempts, fit for [`Ladder::new`].
    pub delays: Vec<Duration>,
}

/// Why a description is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDescription {
    /// A name that files and labels cannot hold.
    #[error("`{what}` is `{text}`, and must be 1 to 64 characters of a-z 0-9 -")]
    Name {
        /// Whose name.
        what: &'static str,
        /// As far as it can be shown.
        text: String,
    },
    /// A version that cannot be shown.
    #[error("`version` must be 1 to 64 visible ASCII characters")]
    Version,
    /// The schema of the settings is no JSON object.
    #[error("`settings-schema` is no JSON object")]
    Schema,
    /// More than anybody needs.
    #[error("`{0}` has more than 32 entries")]
    TooMany(&'static str),
    /// One name for two.
    #[error("`{what}` has `{text}` twice")]
    Twice {
        /// Which list.
        what: &'static str,
        /// The name.
        text: String,
    },
    /// A ladder that cannot be climbed.
    #[error("ladder `{0}`: {1}")]
    Ladder(String, InvalidLadder),
}

const MOST_ENTRIES: usize = 32;

impl Description {
    pub(super) fn check(self) -> Result<Self, InvalidDescription> {
        name("name", &self.name)?;
        let version = self.version.as_bytes();
        if !(1..=64).contains(&version.len()) || !version.iter().all(u8::is_ascii_graphic) {
            return Err(InvalidDescription::Version);
        }
        serde_json::from_str::<serde_json::Map<_, _>>(&self.settings_schema)
            .map_err(|_| InvalidDescription::Schema)?;
        names("keys.role", self.keys.iter().map(|need| need.role.as_str()))?;
        names("ladders.name", self.ladders.iter().map(|ladder| ladder.name.as_str()))?;
        for ladder in &self.ladders {
            Ladder::new(ladder.delays.clone(), Jitter::NONE)
                .map_err(|error| InvalidDescription::Ladder(ladder.name.clone(), error))?;
        }
        Ok(self)
    }
}

fn name(what: &'static str, text: &str) -> Result<(), InvalidDescription> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if (1..=64).contains(&text.len()) && text.bytes().all(allowed) {
        Ok(())
    } else {
        Err(InvalidDescription::Name { what, text: for_people(text, 80) })
    }
}

fn names<'a>(
    what: &'static str,
    texts: impl ExactSizeIterator<Item = &'a str> + Clone,
) -> Result<(), InvalidDescription> {
    if texts.len() > MOST_ENTRIES {
        return Err(InvalidDescription::TooMany(what));
    }
    for (index, text) in texts.clone().enumerate() {
        name(what, text)?;
        if texts.clone().take(index).any(|earlier| earlier == text) {
            return Err(InvalidDescription::Twice { what, text: text.to_owned() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_that_cannot_be_filed_is_refused() {
        let good = Description {
            name: "plain".into(),
            version: "0.1.0".into(),
            summary: String::new(),
            settings_schema: "{}".into(),
            keys: Vec::new(),
            ladders: vec![LadderPreset { name: "original".into(), delays: vec![Duration::from_secs(3)] }],
        };
        let check = |change: fn(&mut Description)| {
            let mut description = good.clone();
            change(&mut description);
            description.check().map(drop).map_err(|error| error.to_string())
        };
        assert_eq!(check(|_| {}), Ok(()));
        for (change, wrong) in [
            ((|it| it.name = "Plain".into()) as fn(&mut Description), "`name` is `Plain`, and must be"),
            (|it| it.name = String::new(), "`name` is ``"),
            (|it| it.name = "a".repeat(65), "`name` is `aaa"),
            (|it| it.name = "a\nb".into(), "`name` is `a\\nb`"),
            (|it| it.version = "1 0".into(), "`version` must"),
            (|it| it.settings_schema = "[]".into(), "`settings-schema` is no JSON object"),
            (|it| it.settings_schema = "{".into(), "`settings-schema` is no JSON object"),
            (|it| it.ladders.push(it.ladders[0].clone()), "`ladders.name` has `original` twice"),
            (|it| it.ladders = vec![it.ladders[0].clone(); 33], "`ladders.name` has more than 32"),
            (|it| it.ladders[0].delays.clear(), "ladder `original`: "),
            (|it| it.ladders[0].delays[0] = Duration::ZERO, "ladder `original`: "),
        ] {
            let error = check(change).expect_err(wrong);
            assert!(error.starts_with(wrong), "{error}");
        }
    }
}
