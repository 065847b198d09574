//! The bill of materials says what is in the program.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::cluster::image::sbom;

fn bill() -> Value {
    let target = sbom::host().expect("rustc");
    let text = sbom::of(Path::new(env!("CARGO_MANIFEST_DIR")), &target).expect("a bill");
    serde_json::from_str(&text).expect("JSON")
}

fn locked(name: &str, key: &str) -> String {
    let lock = include_str!("../../../Cargo.lock");
    let block =
        lock.split("[[package]]").find(|block| block.contains(&format!("\nname = \"{name}\"\n")));
    let start = format!("{key} = \"");
    let line = block.expect(name).lines().find_map(|line| line.strip_prefix(&start));
    line.expect(key).trim_end_matches('"').to_owned()
}

#[test]
fn it_names_what_is_linked_in_and_nothing_that_only_tests_use() {
    let bill = bill();
    let components = bill["components"].as_array().expect("components");
    let named = |name: &str| components.iter().find(|component| component["name"] == name);
    let rustls = named("rustls").expect("rustls is in the program");
    let version = locked("rustls", "version");
    assert_eq!(rustls["version"], *version);
    assert_eq!(rustls["purl"], format!("pkg:cargo/rustls@{version}"));
    assert_eq!(rustls["hashes"][0]["content"], *locked("rustls", "checksum"));
    assert_eq!(rustls["licenses"][0]["expression"], "Apache-2.0 OR ISC OR MIT");
    assert_eq!(rustls["scope"], "required");
    assert_eq!(named("serde_derive").expect("it writes code of the program")["scope"], "excluded");
    for of_tests in ["proptest", "tempfile", "tar", "wavegate"] {
        assert!(named(of_tests).is_none(), "{of_tests}");
    }
    // The parts that no crate brings.
    assert_eq!(named("rust-std").expect("std")["scope"], "required");
    let libc = |component: &Value| component["bom-ref"] == "libc.a";
    assert!(components.iter().any(libc), "libc is linked in");
    assert_eq!(bill["metadata"]["component"]["name"], "wavegate");
}

#[test]
fn it_holds_together() {
    let bill = bill();
    assert_eq!((&bill["bomFormat"], &bill["specVersion"]), (&"CycloneDX".into(), &"1.6".into()));
    let mut known =
        BTreeSet::from([bill["metadata"]["component"]["bom-ref"].as_str().expect("text")]);
    for component in bill["components"].as_array().expect("components") {
        let reference = component["bom-ref"].as_str().expect("a reference");
        assert!(known.insert(reference), "{reference} is there twice");
        for field in ["name", "type"] {
            assert!(!component[field].as_str().expect(field).is_empty(), "{reference}");
        }
        let license = &component["licenses"][0]["expression"];
        assert!(!license.as_str().expect("a licence").contains('/'), "{reference}: {license}");
        let of_a_crate = reference.starts_with("pkg:cargo/");
        assert_eq!(of_a_crate, component["hashes"].is_array(), "{reference}");
    }
    for dependency in bill["dependencies"].as_array().expect("dependencies") {
        let on = dependency["dependsOn"].as_array().expect("a list");
        for reference in on.iter().chain([&dependency["ref"]]) {
            assert!(known.contains(reference.as_str().expect("text")), "{reference}");
        }
    }
}

#[test]
fn it_is_the_same_each_time() {
    assert_eq!(bill().to_string(), bill().to_string());
}
