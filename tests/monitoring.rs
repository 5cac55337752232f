//! What is written for Prometheus and Grafana, held by Prometheus' own tool and to the table of all metrics.

#![allow(missing_docs)]

mod support;

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};
use support::metrics::table;
use support::promtool::{alerts, content, metrics_in, monitoring};

fn read(name: &str) -> String {
    fs::read_to_string(monitoring().join(name)).expect(name)
}

#[test]
fn prometheus_takes_the_rules_and_each_fires_when_it_should_and_not_before() {
    let path = |name: &str| monitoring().join(name).to_str().expect("text").to_owned();
    content(&["check", "rules", "--lint=all", "--lint-fatal", &path("alerts.yml")], "");
    content(&["test", "rules", &path("alerts_test.yml")], "");
    content(&["check", "config", "--syntax-only", &path("prometheus.yml")], "");
}

#[test]
fn each_alert_says_what_is_wrong_and_where_to_read_on() {
    let alerts = alerts();
    assert!(alerts.len() >= 12, "{alerts:?}");
    let rows = include_str!("../docs/metrics.md").lines().filter(|line| line.starts_with("| `Paynotify"));
    assert_eq!(rows.count(), alerts.len(), "the alerts in docs/metrics.md");
    for (name, rule) in &alerts {
        let line = |key: &str| {
            let value = rule.lines().find_map(|line| line.trim().strip_prefix(key));
            value.unwrap_or_else(|| panic!("{name} has no {key}")).trim().trim_matches('"').to_owned()
        };
        assert_eq!(line("runbook_url:"), format!("docs/operating.md#{}", name.to_lowercase()));
        assert!(["{ severity: critical }", "{ severity: warning }"].contains(&&*line("labels:")), "{name}");
        assert!(line("summary:").len() > 20, "{name}");
        let severity = line("labels:").replace("{ severity: ", "").replace(" }", "");
        let row = format!("| `{name}` | {severity} | ");
        assert!(include_str!("../docs/metrics.md").contains(&row), "docs/metrics.md has no row {row}");
        // Which gateway, merchant, rung, plugin; or how many.
        assert!(line("summary:").contains("{{"), "{name} does not say for whom");
    }
}

#[test]
fn each_alert_is_tested_alone_and_with_a_healthy_gateway() {
    let tests = read("alerts_test.yml");
    let tests: Vec<(&str, &str)> =
        tests.split("\n  - name: ").skip(1).filter_map(|test| test.split_once('\n')).collect();
    let of = |name: &str| tests.iter().find(|(other, _)| *other == name).map(|(_, test)| *test);
    let healthy = of("a healthy gateway").expect("a test of a healthy gateway");
    for (name, rule) in alerts() {
        let test = of(&name).unwrap_or_else(|| panic!("{name} has no test"));
        assert!(test.contains("exp_alerts:\n          - exp_labels:"), "{name} does not fire in its test");
        assert!(test.contains("exp_alerts: []"), "{name} is never quiet in its test");
        let quiet = format!("alertname: {name}, exp_alerts: [] }}");
        assert!(healthy.contains(&quiet), "{name} is not asked about a healthy gateway");
        let shown = metrics_in(healthy);
        for metric in metrics_in(&rule) {
            assert!(shown.contains(&metric), "the healthy gateway has no {metric}, so {name} must be quiet");
        }
    }
}

#[test]
fn rules_and_dashboard_ask_for_metrics_that_there_are() {
    let known: BTreeSet<String> = table().into_keys().collect();
    for name in ["alerts.yml", "alerts_test.yml", "dashboard.json"] {
        let asked = metrics_in(&read(name));
        let unknown: Vec<_> = asked.difference(&known).collect();
        assert!(unknown.is_empty(), "{name} asks for {unknown:?}, which docs/metrics.md does not have");
    }
    let shown = metrics_in(&read("dashboard.json"));
    let hidden: Vec<_> = known.difference(&shown).collect();
    assert!(hidden.is_empty(), "the dashboard does not show {hidden:?}");
}

#[test]
fn prometheus_can_read_every_expression_of_the_dashboard() {
    let dashboard = dashboard();
    let expressions = panels(&dashboard).flat_map(|panel| {
        let targets = panel["targets"].as_array().expect("targets");
        targets.iter().map(|target| target["expr"].as_str().expect("an expression"))
    });
    // What Grafana puts in before it asks.
    let filled = expressions.map(|expression| {
        let text = expression.replace("$__rate_interval", "5m").replace("$__range", "6h");
        let text = text.replace("$instance", ".*");
        assert!(!text.contains('$'), "a variable that is not known: {text}");
        text
    });
    let rules: Vec<Value> = filled
        .enumerate()
        .map(|(number, expression)| json!({"record": format!("dashboard:{number}"), "expr": expression}))
        .collect();
    assert!(rules.len() >= 40, "{} expressions", rules.len());
    let file = tempfile::NamedTempFile::new().expect("a file");
    // JSON is YAML, too.
    fs::write(&file, json!({"groups": [{"name": "dashboard", "rules": rules}]}).to_string())
        .expect("written");
    content(&["check", "rules", "--lint=none", file.path().to_str().expect("text")], "");
}

#[test]
fn grafana_can_import_the_dashboard() {
    let dashboard = dashboard();
    assert_eq!(dashboard["id"], Value::Null, "an import makes a number");
    assert_eq!(
        dashboard["__inputs"],
        json!([]),
        "the data source is chosen on the page, not while importing"
    );
    assert!(dashboard["schemaVersion"].as_u64().is_some_and(|version| version >= 36));
    for key in ["uid", "title", "description"] {
        assert!(dashboard[key].as_str().is_some_and(|text| !text.is_empty()), "{key}");
    }
    let variables = dashboard["templating"]["list"].as_array().expect("variables");
    let source = variables.iter().find(|variable| variable["type"] == "datasource").expect("a data source");
    assert_eq!((&source["name"], &source["query"]), (&json!("datasource"), &json!("prometheus")));
    let asks = json!({"type": "prometheus", "uid": "${datasource}"});
    for panel in panels(&dashboard) {
        let title = panel["title"].as_str().expect("a title");
        assert!(!title.is_empty(), "{panel}");
        assert!(panel["description"].as_str().is_some_and(|text| text.len() > 20), "{title}: no description");
        assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{title}: no unit");
        assert_eq!(panel["datasource"], asks, "{title}");
        let targets = panel["targets"].as_array().expect("targets");
        assert!(!targets.is_empty(), "{title}: asks nothing");
        let names: BTreeSet<_> = targets.iter().map(|target| target["refId"].as_str()).collect();
        assert_eq!(names.len(), targets.len(), "{title}: two targets have one name");
        assert!(targets.iter().all(|target| target["datasource"] == asks), "{title}");
    }
    let required = dashboard["__requires"].as_array().expect("what it needs");
    let kinds: BTreeSet<_> = panels(&dashboard).map(|panel| panel["type"].as_str()).collect();
    let required: BTreeSet<_> =
        required.iter().filter(|it| it["type"] == "panel").map(|it| it["id"].as_str()).collect();
    assert_eq!(kinds, required, "the kinds of panels, and those that it says it needs");
}

#[test]
fn the_dashboards_panels_lie_beside_each_other_and_what_is_wrong_comes_first() {
    let dashboard = dashboard();
    let all = dashboard["panels"].as_array().expect("panels");
    let ids: BTreeSet<_> = all.iter().map(|panel| panel["id"].as_u64()).collect();
    assert_eq!(ids.len(), all.len(), "two panels have one number");
    let mut taken: BTreeSet<(u64, u64)> = BTreeSet::new();
    for panel in all {
        let [x, y, width, height] = ["x", "y", "w", "h"]
            .map(|key| panel["gridPos"][key].as_u64().unwrap_or_else(|| panic!("{panel}")));
        assert!(x + width <= 24, "{} is too wide", panel["title"]);
        for place in (x..x + width).flat_map(|x| (y..y + height).map(move |y| (x, y))) {
            assert!(taken.insert(place), "{} lies upon another panel", panel["title"]);
        }
    }
    // No gap: each line is full.
    let lines = taken.iter().map(|(_, y)| y + 1).max().unwrap_or_default();
    assert_eq!(taken.len() as u64, lines * 24);
    assert_eq!(all[0]["title"], "What is wrong, and for whom");
    let firing =
        |panel: &Value| panel["targets"][0]["expr"].as_str().is_some_and(|it| it.starts_with("ALERTS"));
    let first: Vec<_> = all[1..].iter().take_while(|panel| panel["type"] != "row").collect();
    assert!(first.into_iter().any(firing), "the alerts that fire are not in the first row");
}

fn dashboard() -> Value {
    serde_json::from_str(&read("dashboard.json")).expect("JSON")
}

/// All panels that show something.
fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    dashboard["panels"].as_array().expect("panels").iter().filter(|panel| panel["type"] != "row")
}
