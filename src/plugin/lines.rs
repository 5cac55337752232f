//! What a guest says: `log`, standard output and standard error, as lines of the gateway's log.
//!
//! Lines are cut and counted, all three together; what goes over is dropped, and the number dropped is logged once,
//! when the call has ended. A guest's text is escaped, so that it cannot forge lines of others.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::Level;

use super::bindings::paynotify::merchant::log;
use super::fault::for_people;
use super::sandbox::Guest;
use super::settings::Settings;
use crate::domain::Withheld;

/// The lines of one call. Clones write to the same.
#[derive(Clone)]
pub(super) struct Lines(Arc<Mutex<State>>);

struct State {
    plugin: Arc<str>,
    notification: String,
    lines_left: u32,
    line_bytes: usize,
    dropped: u64,
    /// Of each stream, the line that has not ended yet.
    unfinished: [Vec<u8>; 2],
    /// The end of what went to standard error: a panic's message comes last.
    last_words: Vec<u8>,
    withheld: Withheld,
}

/// Which of the two.
#[derive(Clone, Copy)]
pub(super) enum Stream {
    Output,
    Error,
}

const LAST_WORDS: usize = 300;

impl Lines {
    pub(super) fn new(plugin: Arc<str>, notification: String, settings: &Settings) -> Self {
        Self(Arc::new(Mutex::new(State {
            plugin,
            notification,
            lines_left: settings.log_lines,
            line_bytes: settings.log_line_bytes,
            dropped: 0,
            unfinished: [Vec::new(), Vec::new()],
            last_words: Vec::new(),
            withheld: Withheld::default(),
        })))
    }

    /// For the next call: as many lines again.
    pub(super) fn begin_again(&self, settings: &Settings) {
        let mut state = self.state();
        (state.lines_left, state.dropped) = (settings.log_lines, 0);
        state.last_words.clear();
    }

    /// The same, and what is withheld is masked in each line.
    pub(super) fn withholding(self, withheld: Withheld) -> Self {
        self.state().withheld = withheld;
        self
    }

    /// Takes bytes of a stream; each line that ends in them is logged.
    pub(super) fn stream(&self, stream: Stream, bytes: &[u8]) {
        let mut state = self.state();
        if let Stream::Error = stream {
            keep_end(&mut state.last_words, bytes);
        }
        let mut pieces = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(piece) = pieces.next() {
            let room = state.line_bytes;
            let line = &mut state.unfinished[stream as usize];
            let room = room.saturating_sub(line.len()).min(piece.len());
            line.extend_from_slice(&piece[..room]);
            if pieces.peek().is_some() {
                state.end_line(stream);
            }
        }
    }

    /// Logs what has not been yet, and how much was dropped. The end of what went to standard error comes back.
    pub(super) fn finish(&self) -> String {
        let mut state = self.state();
        state.end_line(Stream::Output);
        state.end_line(Stream::Error);
        if state.dropped > 0 {
            tracing::debug!(plugin = %state.plugin, notification = %state.notification, lines = state.dropped,
                "lines of the plugin dropped");
        }
        let words: Vec<_> = state.last_words.split(u8::is_ascii_whitespace).collect();
        for_people(&String::from_utf8_lossy(&words.join(&b' ')), LAST_WORDS)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn keep_end(kept: &mut Vec<u8>, bytes: &[u8]) {
    kept.extend_from_slice(&bytes[bytes.len().saturating_sub(LAST_WORDS)..]);
    let over = kept.len().saturating_sub(LAST_WORDS);
    kept.drain(..over);
}

impl State {
    fn end_line(&mut self, stream: Stream) {
        let line = std::mem::take(&mut self.unfinished[stream as usize]);
        if !line.is_empty() {
            self.log(Level::DEBUG, &String::from_utf8_lossy(&line));
        }
    }

    fn log(&mut self, level: Level, text: &str) {
        if self.lines_left == 0 {
            self.dropped += 1;
            return;
        }
        self.lines_left -= 1;
        // Before it is cut: half a secret is one, too.
        let text = self.withheld.mask(text[..text.floor_char_boundary(self.line_bytes * 2)].to_owned());
        let text = for_people(&text[..text.floor_char_boundary(self.line_bytes)], self.line_bytes);
        let (plugin, notification) = (&*self.plugin, self.notification.as_str());
        // A level is part of what `tracing` decides at compile time, so each has a line of its own.
        if level == Level::ERROR {
            tracing::error!(plugin, notification, "plugin: {text}");
        } else if level == Level::WARN {
            tracing::warn!(plugin, notification, "plugin: {text}");
        } else if level == Level::INFO {
            tracing::info!(plugin, notification, "plugin: {text}");
        } else {
            tracing::debug!(plugin, notification, "plugin: {text}");
        }
    }
}

impl log::Host for Guest {
    fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            log::Level::Debug => Level::DEBUG,
            log::Level::Info => Level::INFO,
            log::Level::Warn => Level::WARN,
            log::Level::Error => Level::ERROR,
        };
        self.lines().state().log(level, &message);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_and_counted() {
        let settings = Settings { log_lines: 2, log_line_bytes: 4, ..Settings::default() };
        let lines = Lines::new("p".into(), String::new(), &settings);
        lines.stream(Stream::Output, b"one\ntwo-and-more\nthree\n\nfo");
        lines.stream(Stream::Output, b"ur\n");
        lines.stream(Stream::Error, &[b'x'; 10_000]);
        assert_eq!(lines.state().dropped, 2);
        assert_eq!(lines.state().unfinished[1].len(), 4);
        assert_eq!(lines.finish(), "x".repeat(300));
        assert_eq!(lines.state().dropped, 3);
    }

    #[test]
    fn text_that_is_no_utf_8_is_no_trouble() {
        let settings = Settings { log_line_bytes: 5, ..Settings::default() };
        let lines = Lines::new("p".into(), String::new(), &settings);
        lines.stream(Stream::Error, "\u{ff}üüüü\n".as_bytes());
        lines.stream(Stream::Error, b"\xff\xfe\n");
        lines.state().log(Level::INFO, "üüüüü");
        assert_eq!(lines.finish(), "\u{ff}üüüü \u{fffd}\u{fffd}");
    }
}
