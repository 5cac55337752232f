//! Files of apt's in, what is read out of them out.

use super::*;

const STANZAS: &str = "Types: deb\n# a comment\nURIs: http://mirror.test/debian\nSuites: bookworm bookworm-updates\n\
    Components: main\nSigned-By: /usr/share/keyrings/debian.gpg\n\n\
    Enabled: no\nTypes: deb\nURIs: http://off.test/debian\nSuites: bookworm\nComponents: main\n\n\
    Types: deb-src\nURIs: http://src.test/debian\nSuites: bookworm\nComponents: main\n\n\n\
    types: deb deb-src\nURIs: http://mirror.test/debian-security/\nSuites: bookworm-security\nComponents: main contrib\n\
    Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINBF\n";

fn archive(uri: &str, signed_by: Option<&str>) -> Archive {
    Archive { uri: uri.to_owned(), signed_by: signed_by.map(str::to_owned) }
}

#[test]
fn stanzas_give_the_archive_of_each_suite() {
    let sources = parse_stanzas(STANZAS);
    let main = archive("http://mirror.test/debian", Some("/usr/share/keyrings/debian.gpg"));
    assert_eq!(archive_of(&sources, "bookworm"), Some(main.clone()));
    assert_eq!(archive_of(&sources, "bookworm-updates"), Some(main));
    // The key stands in the source itself, over several lines: that is not a path.
    assert_eq!(
        archive_of(&sources, "bookworm-security"),
        Some(archive("http://mirror.test/debian-security/", None))
    );
    assert_eq!(archive_of(&sources, "trixie"), None);
}

#[test]
fn lines_give_the_archive_too_and_debians_own_goes_first() {
    let lines = [
        "# deb http://old.test/debian bookworm main",
        "deb https://vendor.test/packages bookworm main",
        "deb-src http://mirror.test/debian bookworm main",
        "  deb [arch=amd64 signed-by=/etc/apt/keyrings/d.gpg] http://mirror.test/debian  bookworm main contrib # ours",
        "deb",
    ];
    let sources: Vec<Source> = lines.iter().filter_map(|line| parse_line(line)).collect();
    assert_eq!(sources.len(), 2);
    assert_eq!(sources[1].components, ["main", "contrib"]);
    let ours = archive("http://mirror.test/debian", Some("/etc/apt/keyrings/d.gpg"));
    assert_eq!(archive_of(&sources, "bookworm"), Some(ours));
}

#[test]
fn packages_are_read_with_their_versions_and_dependencies() {
    let text = "Package: a\nVersion: 1.96.1+dfsg1-2\nDepends: libc6 (>= 2.34), b (= 1),\n c | d\n\nPackage: a\nVersion: 1.95.0\n";
    let package = |version: &str, depends: &[&str]| Package {
        name: "a".to_owned(),
        version: version.to_owned(),
        depends: depends.iter().map(|&name| name.to_owned()).collect(),
    };
    assert_eq!(
        parse_packages(text),
        [package("1.96.1+dfsg1-2", &["libc6", "b", "c"]), package("1.95.0", &[])]
    );
}
