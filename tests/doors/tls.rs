//! The API over TLS, with certificates of the tests' own.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use http::Method;
use paynotify::http::{Client, Reach, Settings, TlsRoots};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use crate::ask;
use crate::support::gateway::{Gateway, SOON, Store};

/// A certificate authority.
pub(crate) struct Authority {
    certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = parameters.self_signed(&key).expect("a certificate");
        Self { certificate, issuer: Issuer::new(parameters, key) }
    }

    /// Writes `api.crt` and `api.key` for a name, and the authority's own certificate as `ca.crt`.
    pub(crate) fn write(&self, folder: &Path, name: &str) {
        let key = KeyPair::generate().expect("a key");
        let parameters = CertificateParams::new([name.to_owned()]).expect("a name");
        let certificate = parameters.signed_by(&key, &self.issuer).expect("a certificate");
        for (file, text) in [
            ("ca.crt", self.certificate.pem()),
            ("api.key", key.serialize_pem()),
            ("api.crt", certificate.pem()),
        ] {
            fs::write(folder.join(file), text).expect("written");
        }
    }

    fn client(&self) -> Client {
        let roots = TlsRoots::private(self.certificate.pem().as_bytes()).expect("a certificate");
        Client::new(&Settings::default(), &roots, &Reach::anywhere())
    }
}

/// Whether the gateway is alive to a client.
async fn alive(client: &Client, url: &str) -> Result<u16, String> {
    let reply = ask(client, (Method::GET, format!("{url}/healthz")), None, "").await?;
    Ok(reply.status.as_u16())
}

async fn until_alive(authority: &Authority, url: &str) {
    let deadline = Instant::now() + SOON;
    // A client of its own each time: connections that there are stay with the certificate that they began with.
    while alive(&authority.client(), url).await != Ok(200) {
        assert!(Instant::now() < deadline, "not trusted");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_speaks_tls_and_takes_a_new_certificate_while_it_runs() {
    let (first, second) = (Authority::new(), Authority::new());
    let tls = "[api.tls]\ncertificate = \"api.crt\"\nkey = \"api.key\"\n";
    let mut gateway = Gateway::with_api(Store::Embedded, tls, "");
    first.write(gateway.folder(), "127.0.0.1");
    gateway.start();
    let plain = gateway.api();
    let url = plain.replace("http://", "https://");
    until_alive(&first, &url).await;
    assert_eq!(alive(&second.client(), &url).await, Err("tls_failed".to_owned()));
    assert!(alive(&first.client(), &plain).await.is_err(), "without TLS nobody is answered");

    // What does not fit together is told and changes nothing.
    fs::write(gateway.folder().join("api.key"), "no key").expect("written");
    let told = |gateway: &Gateway| gateway.log().contains("new certificate is refused");
    let deadline = Instant::now() + SOON;
    while !told(&gateway) {
        assert!(Instant::now() < deadline, "{}", gateway.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(alive(&first.client(), &url).await, Ok(200));
    second.write(gateway.folder(), "127.0.0.1");
    until_alive(&second, &url).await;
    assert_eq!(alive(&first.client(), &url).await, Err("tls_failed".to_owned()));
    assert!(gateway.stop().success());
}
