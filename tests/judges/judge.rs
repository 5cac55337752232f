//! A vendor's SDK in a process of its own (tests/formats/judges/judge.py), and the requests that it is shown.

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::support::merchant::Received;

/// An SDK, and what a merchant has set it up with.
pub(crate) struct Judge {
    process: Child,
    questions: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    sdk: &'static str,
    keys: Value,
}

impl Judge {
    /// Fails the test with the command that helps if the SDKs are not installed.
    pub(crate) fn start(sdk: &'static str, keys: Value) -> Self {
        let judges = xtask::judges::ready().expect("the judges are there");
        let program = super::path("judges/judge.py");
        let mut command = Command::new(judges.python());
        command.arg(program).arg(sdk);
        if sdk == "python-alipay-sdk" {
            command.arg(judges.python_alipay_sdk());
        }
        let mut process =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("Python can be started");
        let questions = process.stdin.take().expect("piped");
        let answers = BufReader::new(process.stdout.take().expect("piped")).lines();
        Self { process, questions, answers, sdk, keys }
    }

    /// What the SDK makes of the request, or why it refuses it. Whatever else happens is not an answer.
    pub(crate) fn ask(&mut self, request: &Captured) -> Result<Value, String> {
        let keys = self.keys.clone();
        self.ask_with(request, &keys)
    }

    /// The same, with other keys.
    pub(crate) fn ask_with(&mut self, request: &Captured, keys: &Value) -> Result<Value, String> {
        let headers = &request.headers;
        let question = json!({"at": request.at, "headers": headers, "body": STANDARD.encode(&request.body), "keys": keys});
        writeln!(self.questions, "{question}").expect("it reads on");
        let answer = self.answers.next().expect("it answers").expect("text");
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        match answer["accepted"].as_bool() {
            Some(true) => Ok(answer["got"].clone()),
            Some(false) => Err(answer["said"].to_string()),
            None => panic!("{} went wrong: {answer}, with {request:#?}", self.sdk),
        }
    }

    pub(crate) fn accepts(&mut self, request: &Captured) -> Value {
        match self.ask(request) {
            Ok(got) => got,
            Err(said) => panic!("{} refuses: {said}: {request:#?}", self.sdk),
        }
    }

    pub(crate) fn refuses(&mut self, what: &str, tampered: &Captured) {
        if let Ok(got) = self.ask(tampered) {
            panic!("{} accepts a request with {what}: {got}", self.sdk);
        }
    }

    pub(crate) fn refuses_with(&mut self, keys: &Value, request: &Captured) {
        assert!(self.ask_with(request, keys).is_err(), "{} accepts with {keys}", self.sdk);
    }

    /// Some forty copies, each with another byte of the body changed.
    pub(crate) fn refuses_any_other_body(&mut self, request: &Captured) {
        for at in (0..request.body.len()).step_by(request.body.len() / 40 + 1) {
            let mut tampered = request.clone();
            tampered.body[at] ^= 1;
            self.refuses(&format!("byte {at} of the body changed"), &tampered);
        }
        let longer = Captured { body: [&request.body[..], b" "].concat(), ..request.clone() };
        self.refuses("a blank after the body", &longer);
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// A request as a merchant received it.
#[derive(Clone)]
pub(crate) struct Captured {
    /// Seconds since 1970.
    pub(crate) at: f64,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl std::fmt::Debug for Captured {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (name, value) in &self.headers {
            writeln!(formatter, "{name}: {value}")?;
        }
        write!(formatter, "{}", String::from_utf8_lossy(&self.body))
    }
}

impl From<&Received> for Captured {
    fn from(received: &Received) -> Self {
        let text = |value: &http::HeaderValue| value.to_str().expect("ASCII").to_owned();
        let headers = received.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        let at = Duration::from_millis(received.moment.unix_milliseconds().unsigned_abs()).as_secs_f64();
        Self { at, headers, body: received.body.to_vec() }
    }
}

impl Captured {
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        &found.unwrap_or_else(|| panic!("no {name}: {self:?}")).1
    }

    pub(crate) fn with_header(&self, name: &str, value: &str) -> Self {
        assert_ne!(self.header(name), value, "that changes nothing");
        let mut changed = self.without_header(name);
        changed.headers.push((name.to_owned(), value.to_owned()));
        changed
    }

    pub(crate) fn without_header(&self, name: &str) -> Self {
        let mut changed = self.clone();
        changed.headers.retain(|(known, _)| known != name);
        assert_ne!(changed.headers.len(), self.headers.len(), "there is no {name}");
        changed
    }

    pub(crate) fn with_body(&self, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        assert_ne!(self.body, body, "that changes nothing");
        Self { body, ..self.clone() }
    }

    /// The same, received so many seconds later.
    pub(crate) fn later(&self, seconds: f64) -> Self {
        Self { at: self.at + seconds, ..self.clone() }
    }

    /// The body, which is JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

/// The text with its tenth character from the end changed to another letter: within a signature, and not in what only
/// fills it up.
pub(crate) fn altered(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let at = bytes.len() - 10;
    bytes[at] = if bytes[at] == b'a' { b'b' } else { b'a' };
    String::from_utf8(bytes).expect("ASCII")
}

/// A number of seconds, one later.
pub(crate) fn next_second(text: &str) -> String {
    (text.parse::<i64>().expect("seconds") + 1).to_string()
}
