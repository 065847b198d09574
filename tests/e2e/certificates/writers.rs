//! Who else writes the webhook configurations: kubectl and Helm, with wavegate away, so that nobody repairs anything.

use std::fs;

use serde_json::{Deserializer, Value, json};

use super::{KINDS, LONG, Site};
use crate::alone::alone;
use crate::cluster::wavegate::{Wavegate, configurations_without_ca};

/// The configurations as objects.
fn objects(site: &Site<'_>, url: &str) -> Vec<Value> {
    let create = ["create", "--dry-run=client", "--output=json", "--filename=-"];
    let kubectl = site.control_plane.kubectl().args(create);
    let text = kubectl.stdin(configurations_without_ca(site.control_plane, url)).ok();
    let objects =
        Deserializer::from_str(&text).into_iter::<Value>().map(|read| read.expect("JSON"));
    objects
        .flat_map(|object| match object["items"].as_array() {
            Some(items) => items.clone(),
            None => vec![object],
        })
        .collect()
}

/// Another version of a chart: a label more, and a webhook less at the beginning, and at the end where more are left.
fn changed(mut objects: Vec<Value>) -> Vec<Value> {
    for object in &mut objects {
        object["metadata"]["labels"] = json!({"version": "2"});
        let webhooks = object["webhooks"].as_array_mut().expect("webhooks");
        webhooks.remove(0);
        if webhooks.len() > 1 {
            webhooks.pop();
        }
    }
    objects
}

fn text(objects: &[Value]) -> String {
    let objects: Vec<_> = objects.iter().map(Value::to_string).collect();
    objects.join("\n---\n")
}

fn webhooks(site: &Site<'_>) -> usize {
    let count = |kind| {
        let found = site.control_plane.kubectl().args(["get", kind, "wavegate"]).json();
        found["webhooks"].as_array().map_or(0, Vec::len)
    };
    KINDS.into_iter().map(count).sum()
}

/// Applied, published, wavegate ended, changed by the same means: what is left carries what was published.
fn left_alone(site: &Site<'_>, name: &str, apply: impl Fn(&[Value])) {
    let mut replica: Wavegate = site.replica(name, &LONG);
    let objects = objects(site, &format!("https://{}", replica.address()));
    apply(&objects);
    replica.until_ready();
    let bundle = site.published(name);
    replica.server_mut().stop().expect("it is killed");
    let before = webhooks(site);
    apply(&objects);
    assert_eq!(site.bundle().as_ref(), Some(&bundle), "{name}: the same again");
    apply(&changed(objects.clone()));
    assert_eq!(webhooks(site), before - 3, "{name}: the webhooks are gone");
    assert_eq!(site.bundle().as_ref(), Some(&bundle), "{name}: changed");
    site.remove();
}

#[test]
fn kubectl_leaves_the_published_ca_alone_and_can_remove_a_webhook() {
    let (_turn, control_plane) = alone();
    let site = Site::fresh(control_plane);
    left_alone(&site, "managed-applied", |objects| site.apply(&["apply"], text(objects)));
    left_alone(&site, "managed-server-side", |objects| {
        site.apply(&["apply", "--server-side"], text(objects));
    });
}

#[test]
fn helm_leaves_the_published_ca_alone_and_can_remove_a_webhook() {
    let (_turn, control_plane) = alone();
    let site = Site::fresh(control_plane);
    let chart = control_plane.directory().join("webhooks-chart");
    fs::create_dir_all(chart.join("templates")).expect("a directory");
    let about = "apiVersion: v2\nname: webhooks\nversion: 0.1.0\n";
    fs::write(chart.join("Chart.yaml"), about).expect("a file");
    for mode in ["true", "false"] {
        let server_side = format!("--server-side={mode}");
        left_alone(&site, &format!("managed-helm-{mode}"), |objects| {
            fs::write(chart.join("templates/webhooks.yaml"), text(objects)).expect("a file");
            let upgrade = ["upgrade", "--install", "webhooks", &server_side];
            control_plane.helm().namespace("default").args(upgrade).args([&chart]).ok();
        });
        control_plane.helm().namespace("default").args(["uninstall", "webhooks"]).ok();
    }
}
