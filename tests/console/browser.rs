//! A browser, led as a person would: it finds, clicks and types what is there to be seen. It speaks WebDriver
//! (<https://www.w3.org/TR/webdriver2/>) to Chromium's driver, which is JSON over HTTP and needs no library; of Chromium's own it
//! takes the console's messages, what was requested, and the size and colours of its window.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use xtask::browser::{ARGUMENTS, Driver};

/// How long anything is waited for. A browser among seven other tests on two cores takes its time.
const PATIENCE: Duration = Duration::from_secs(90);

/// The key of an element's name in an answer (section 12 of the standard).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Notes what the page's policy has forbidden, from before the page begins.
const WATCH: &str = "window.violations = []; addEventListener('securitypolicyviolation', (event) => \
     violations.push(`${event.violatedDirective}: ${event.blockedURI} ${event.sample}`)); \
     window.faults = []; addEventListener('error', (event) => faults.push(event.message)); \
     addEventListener('unhandledrejection', (event) => faults.push(String(event.reason)));";

pub(crate) struct Browser {
    driver: Driver,
    session: String,
    _profile: tempfile::TempDir,
    /// How wide its window is.
    width: u32,
}

impl Browser {
    pub(crate) async fn start() -> Self {
        let profile = tempfile::tempdir().expect("a folder");
        let driver = Driver::start().expect("a driver");
        let deadline = Instant::now() + PATIENCE;
        while !ask(driver.address(), "GET", "/status", None).await.is_ok_and(|answer| answer["ready"] == true)
        {
            assert!(Instant::now() < deadline, "the driver does not answer");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut arguments: Vec<String> = ARGUMENTS.map(str::to_owned).into();
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
            "goog:chromeOptions": {"args": arguments, "perfLoggingPrefs": {"enableNetwork": true, "enablePage": false}},
        }}});
        let begun = ask(driver.address(), "POST", "/session", Some(wanted)).await.expect("a session");
        let session = begun["sessionId"].as_str().expect("its name").to_owned();
        let mut browser = Self { driver, session, _profile: profile, width: 0 };
        let patience = u64::try_from(PATIENCE.as_millis()).expect("short");
        browser.post("/timeouts", json!({"script": patience, "pageLoad": patience})).await;
        browser.chromium("Page.addScriptToEvaluateOnNewDocument", json!({"source": WATCH})).await;
        browser.look("light", 1440, 900).await;
        browser
    }

    async fn tell(&self, method: &str, path: &str, body: Option<Value>) -> Result<Value, String> {
        ask(self.driver.address(), method, &format!("/session/{}{path}", self.session), body).await
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.tell("POST", path, Some(body)).await.expect("done")
    }

    /// A command of Chromium's own protocol.
    async fn chromium(&self, command: &str, parameters: Value) -> Value {
        self.post("/goog/cdp/execute", json!({"cmd": command, "params": parameters})).await
    }

    /// Gives its window a size, and its user a liking for light or dark.
    pub(crate) async fn look(&mut self, colours: &str, width: u32, height: u32) {
        self.width = width;
        self.size(height).await;
        let features = json!([{"name": "prefers-color-scheme", "value": colours}, {"name": "prefers-reduced-motion", "value": "reduce"}]);
        self.chromium("Emulation.setEmulatedMedia", json!({"features": features})).await;
    }

    async fn size(&self, height: u32) {
        let size = json!({"width": self.width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.chromium("Emulation.setDeviceMetricsOverride", size).await;
    }

    pub(crate) async fn go(&self, url: &str) {
        self.post("/url", json!({"url": url})).await;
    }

    /// What a script returns, run in the page.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", json!({"script": script, "args": []})).await
    }

    async fn find(&self, how: &str, what: &str) -> Option<String> {
        let found = self.tell("POST", "/element", Some(json!({"using": how, "value": what}))).await.ok()?;
        Some(found[ELEMENT].as_str().expect("its name").to_owned())
    }

    /// Does that to the element once it is there and lets it be done.
    async fn act(&self, selector: &str, action: &str, body: Value) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut why = "it is not there".to_owned();
            if let Some(element) = self.find("css selector", selector).await {
                match self.tell("POST", &format!("/element/{element}/{action}"), Some(body.clone())).await {
                    Ok(_) => return,
                    Err(problem) => why = problem,
                }
            }
            assert!(Instant::now() < deadline, "{action} {selector}: {why}\n{}", self.seen().await);
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    pub(crate) async fn click(&self, selector: &str) {
        self.act(selector, "click", json!({})).await;
    }

    /// Types into the field, beside what stands there. `\u{E007}` is the enter key.
    pub(crate) async fn type_into(&self, selector: &str, text: &str) {
        self.act(selector, "value", json!({"text": text})).await;
    }

    /// Types wherever the focus is.
    pub(crate) async fn press(&self, keys: &str) {
        let actions: Vec<Value> = keys
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key})))
            .collect();
        self.post("/actions", json!({"actions": [{"type": "key", "id": "keys", "actions": actions}]})).await;
    }

    /// The text that is to be seen in the first such element; nothing if there is none.
    pub(crate) async fn text(&self, selector: &str) -> String {
        let script = format!("return document.querySelector({}) ?.innerText ?? ''", json!(selector));
        self.run(&script).await.as_str().expect("text").to_owned()
    }

    /// Waits until the text of the element has all of these in it.
    pub(crate) async fn until(&self, selector: &str, wanted: &[&str]) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let text = self.text(selector).await;
            if wanted.iter().all(|wanted| text.contains(wanted)) && (!wanted.is_empty() || !text.is_empty()) {
                return text;
            }
            assert!(
                Instant::now() < deadline,
                "{selector} has not {wanted:?}: {text}\n{}",
                self.seen().await
            );
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// Waits until the script returns true.
    pub(crate) async fn until_true(&self, what: &str, script: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.run(script).await != json!(true) {
            assert!(Instant::now() < deadline, "waited in vain: {what}\n{}", self.seen().await);
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// All that is to be seen, for whoever reads why a test failed.
    async fn seen(&self) -> String {
        format!("{}\n{:?}", self.text("body").await, self.messages().await)
    }

    /// What the browser's console says, since it was asked last.
    pub(crate) async fn messages(&self) -> Vec<String> {
        let entries = self.post("/se/log", json!({"type": "browser"})).await;
        let entries = entries.as_array().cloned().unwrap_or_default();
        entries.iter().map(|entry| entry["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// What axe-core finds that keeps somebody from using the page: rule, what it is about, and where.
    pub(crate) async fn hindrances(&self, axe: &str) -> Vec<String> {
        if self.run("return typeof axe").await == "undefined" {
            self.run(axe).await;
        }
        let script = "return axe.run(document, {resultTypes: ['violations']}).then((found) => found.violations.flatMap(({id, help, nodes}) => \
            nodes.map(({target, any}) => `${id}: ${help}: ${target} ${any.map(({message}) => message)}`)))";
        serde_json::from_value(self.run(script).await).expect("texts")
    }

    /// Everything that was requested, since it was asked last.
    pub(crate) async fn requested(&self) -> Vec<String> {
        let entries = self.post("/se/log", json!({"type": "performance"})).await;
        let entries = entries.as_array().cloned().unwrap_or_default();
        let event =
            |entry: &Value| -> Option<Value> { serde_json::from_str(entry["message"].as_str()?).ok() };
        let url = |event: Value| {
            let message = &event["message"];
            let is_request = message["method"] == "Network.requestWillBeSent";
            is_request.then(|| message["params"]["request"]["url"].as_str().unwrap_or_default().to_owned())
        };
        entries.iter().filter_map(event).filter_map(url).collect()
    }

    /// What is seen now in light and dark, on a wide and on a narrow page, where nothing may hang over the edge.
    pub(crate) async fn pictures(&mut self, name: &str) {
        for (colours, width, height) in
            [("light", 390, 844), ("dark", 390, 844), ("dark", 1440, 900), ("light", 1440, 900)]
        {
            self.look(colours, width, height).await;
            let is_narrow = if width < 500 { "-narrow" } else { "" };
            self.picture(&format!("{name}-{colours}{is_narrow}")).await;
            let wide = self.run("return document.documentElement.scrollWidth").await;
            assert_eq!(wide, width, "{name} hangs over the edge");
        }
        self.look("light", 1440, 900).await;
    }

    /// A picture of the whole page, in `target/console`.
    pub(crate) async fn picture(&self, name: &str) -> PathBuf {
        let height =
            self.run("return document.documentElement.scrollHeight").await.as_u64().unwrap_or_default();
        let height = u32::try_from(height).unwrap_or_default().clamp(700, 3_000);
        self.size(height).await;
        // What is drawn to its width is drawn once the width is known.
        self.run(
            "return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))",
        )
        .await;
        let picture = self.tell("GET", "/screenshot", None).await.expect("a picture");
        let bytes = STANDARD.decode(picture.as_str().expect("text")).expect("base64");
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("target").join("console");
        std::fs::create_dir_all(&folder).expect("a folder");
        let file = folder.join(format!("{name}.png"));
        std::fs::write(&file, bytes).expect("written");
        file
    }
}

impl Drop for Browser {
    /// The browser ends with its session; if this is not heard, it ends with its driver.
    fn drop(&mut self) {
        let Ok(mut stream) = TcpStream::connect_timeout(&self.driver.address(), Duration::from_secs(1))
        else {
            return;
        };
        drop(stream.set_read_timeout(Some(Duration::from_secs(5))));
        let request = format!(
            "DELETE /session/{} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n",
            self.session,
            self.driver.address()
        );
        drop(stream.write_all(request.as_bytes()));
        drop(stream.read(&mut [0; 256]));
    }
}

/// Asks the driver. What it objects to is told by its message.
async fn ask(address: SocketAddr, method: &str, path: &str, body: Option<Value>) -> Result<Value, String> {
    let told = |error: &dyn std::fmt::Display| error.to_string();
    let stream = tokio::net::TcpStream::connect(address).await.map_err(|error| told(&error))?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| told(&error))?;
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let request = Request::builder().method(method).uri(path).header("host", address.to_string());
    let request = request.body(Full::new(Bytes::from(body))).expect("a request");
    let answered = async {
        let answer = sender.send_request(request).await.map_err(|error| told(&error))?;
        let body = answer.into_body().collect().await.map_err(|error| told(&error))?.to_bytes();
        drop(sender);
        Ok::<_, String>(body)
    };
    let (body, _) = tokio::join!(answered, connection);
    let answer: Value = serde_json::from_slice(&body?).map_err(|error| told(&error))?;
    match answer["value"]["error"].as_str() {
        Some(error) => Err(format!("{error}: {}", answer["value"]["message"].as_str().unwrap_or_default())),
        None => Ok(answer["value"].clone()),
    }
}
