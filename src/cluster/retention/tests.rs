use super::*;
use crate::cluster::Attempts;
use crate::cluster::sample::Sample;
use crate::domain::names::Alias;

/// The UIDs of the records that go, in the order in which they do.
fn pruned(samples: Vec<Sample>, live: &[&str], successes: usize, failures: usize) -> Vec<String> {
    let mut attempts = Attempts::default();
    for sample in samples {
        attempts.observe_record(sample.attempt());
    }
    let retention = Retention { successes, failures };
    gone(&attempts, live, retention)
}

fn gone(attempts: &Attempts, live: &[&str], retention: Retention) -> Vec<String> {
    let mut releases = LiveReleases::default();
    for name in live {
        releases.named(name);
    }
    let mut all: Vec<&Sighting> = attempts.of_namespace("shop").collect();
    all.sort_by_key(|s| s.attempt().uid.as_str());
    let gone = prunable(&all, &[], &releases, retention);
    let may = may_prune(attempts.of_namespace("shop"), retention);
    assert!(may || gone.is_empty(), "what was not worth asking for: {gone:?}");
    gone.iter().map(|sighting| sighting.attempt().uid.clone()).collect()
}

/// Success of a release, begun and ended then.
fn ok(uid: &str, release: &str, at: i64) -> Sample {
    Sample::new(uid, release).created(at).succeeded(at + 1)
}

fn bad(uid: &str, release: &str, at: i64) -> Sample {
    Sample::new(uid, release).created(at).failed(at + 1)
}

#[test]
fn the_newest_and_the_first_stay() {
    let all = || (1..=6).map(|n| ok(&format!("s{n}"), &format!("v{n}"), n * 10)).collect();
    assert_eq!(pruned(all(), &[], 2, 2), ["s4", "s3", "s2"]);
    assert!(pruned(all(), &[], 6, 0).is_empty());
    assert_eq!(pruned(all(), &["v3"], 2, 2), ["s4", "s2"], "a live release stays");
}

#[test]
fn failures_have_a_cap_of_their_own() {
    let mut all: Vec<Sample> = (1..=5).map(|n| bad(&format!("f{n}"), "v9", n * 10 + 100)).collect();
    all.extend([ok("s1", "v1", 10), ok("s2", "v2", 20), ok("s3", "v3", 30)]);
    all.push(Sample::new("i1", "v9").created(90).ended(Outcome::Interrupted, 91));
    assert_eq!(pruned(all, &[], 2, 2), ["f3", "f2", "f1", "i1"]);
}

#[test]
fn what_has_not_ended_stays() {
    let mut attempts = Attempts::default();
    for (uid, release) in [("r1", "v1"), ("r2", "v2"), ("r3", "v3")] {
        attempts.observe_record(Sample::new(uid, release).attempt());
        attempts.observe_job(Sample::new(uid, release).attempt());
    }
    for n in 1..=4 {
        attempts.observe_record(ok(&format!("s{n}"), &format!("v{n}"), n * 10).attempt());
    }
    // Its Job is still there, so its record would be written again.
    attempts.observe_job(ok("s2", "v2", 20).attempt());
    let none = Retention { successes: 0, failures: 0 };
    assert_eq!(gone(&attempts, &[], none), ["s4", "s3", "s1"]);
}

#[test]
fn contracts_and_what_they_are_safe_from_stay() {
    let contract = |uid: &str, release: &str, at: i64| {
        ok(uid, release, at).named("shop-contract").phase(MigrationPhase::Contract, true)
    };
    let mut all: Vec<Sample> =
        (1..=8).map(|n| ok(&format!("s{n}"), &format!("v{n}"), n * 10)).collect();
    all.push(contract("c5", "v5", 55).safe_from("v3"));
    all.push(contract("c6", "v6", 65));
    all.push(contract("f7", "v7", 75).failed(76));
    // v3 and v6 are borders, v5 is the release of a contract; v7's contract failed.
    assert_eq!(pruned(all, &[], 1, 0), ["s7", "s4", "s2", "f7"]);
}

/// Without v3's success the revert would take back v2.
#[test]
fn a_revert_and_what_it_took_back_stay() {
    let revert = |uid: &str, at: i64| {
        ok(uid, "v3", at).named("shop-revert").phase(MigrationPhase::Revert, true)
    };
    let all = vec![
        ok("s0", "v0", 5),
        ok("s1", "v1", 10),
        ok("s2", "v2", 20),
        ok("s3a", "v3", 30),
        ok("s3b", "v3", 31),
        ok("s3c", "v3", 32),
        // A rollback ran the old release's migration again: v3 is the newest release all the same.
        ok("s2b", "v2", 35),
        revert("r", 40),
        ok("s4", "v4", 50),
        ok("s5", "v5", 60),
    ];
    assert_eq!(pruned(all, &[], 1, 0), ["s4", "s2b", "s3b", "s2", "s1"]);
}

/// The order of releases is that of first successes: with its first gone, v1 would come after v3.
#[test]
fn a_release_that_stays_keeps_its_first_success() {
    let all = vec![
        ok("s0", "v0", 1),
        ok("s1", "v1", 10),
        ok("s1b", "v1", 15),
        ok("s2", "v2", 20),
        ok("s3", "v3", 30),
        ok("s1c", "v1", 40),
    ];
    assert_eq!(pruned(all, &[], 2, 0), ["s2", "s1b"]);
}

/// All migrations that were attempted for a release are required for it.
#[test]
fn a_release_that_stays_keeps_what_is_required_for_it() {
    let users = |sample: Sample| sample.named("users-migrate");
    let all = vec![
        ok("first", "v0", 1),
        ok("s5", "v5", 50),
        // Never succeeded, so v5 must not become proven by losing these.
        users(bad("u5a", "v5", 51)),
        users(bad("u5b", "v5", 52)),
        // Succeeded before it failed, so v6 must not lose its proof.
        ok("s6", "v6", 60),
        users(ok("u6a", "v6", 61)),
        users(bad("u6b", "v6", 62)),
        users(ok("u7", "v7", 70)),
        users(bad("u8", "v8", 80)),
        users(bad("u9", "v9", 90)),
    ];
    // s5 and s6 are kept as the newest two of theirs, u7 as the newest of its.
    assert_eq!(pruned(all, &[], 2, 1), ["u8", "u6b", "u5a"]);
}

#[test]
fn apps_do_not_count_against_each_other() {
    let other = |sample: Sample| sample.repository("shop/other");
    let mut all: Vec<Sample> = (1..=3).map(|n| ok(&format!("a{n}"), "v1", n * 10)).collect();
    all.extend((1..=3).map(|n| other(ok(&format!("b{n}"), "w1", n * 10))));
    assert_eq!(pruned(all, &[], 1, 0), ["b2", "a2"]);
}

#[test]
fn a_release_is_live_by_any_of_its_names() {
    let digest = format!("sha256:{}", "0".repeat(64));
    let mut all: Vec<Sample> =
        (1..=5).map(|n| ok(&format!("s{n}"), &format!("v{n}"), n * 10)).collect();
    all.push(ok("ran", "v2b", 25).with(|a| a.image_id = Some(format!("shop/api@{digest}"))));
    let mut attempts = Attempts::default();
    for sample in all {
        attempts.observe_record(sample.attempt());
    }
    let mut live = LiveReleases::default();
    live.image(&ImageRef::parse(&format!("shop/api@{digest}")).unwrap());
    live.image(&ImageRef::parse("registry.example.com/shop/api:v3").unwrap());
    let all: Vec<&Sighting> = attempts.of_namespace("shop").collect();
    let gone = prunable(&all, &[], &live, Retention { successes: 1, failures: 0 });
    let gone: Vec<_> = gone.iter().map(|s| s.attempt().uid.as_str()).collect();
    assert_eq!(gone, ["s4", "s2"]);
}

/// With an Attest or an Invalidate other successes decide than the records alone say.
#[test]
fn nothing_goes_beside_a_person_s_word_about_evidence() {
    use crate::cluster::Override;

    let mut attempts = Attempts::default();
    for n in 0..6 {
        let sample = Sample::new(&format!("a{n}"), "v1").created(n * 10).failed(n * 10 + 5);
        attempts.observe_record(sample.attempt());
    }
    let all: Vec<&Sighting> = attempts.of_namespace("shop").collect();
    let gone = |kind: &str| {
        let release = if kind == "Attest" { r#""release":"v1","# } else { "" };
        let spec = format!(r#"{{"kind":"{kind}",{release}"app":"shop/api","reason":"x"}}"#);
        let spec = serde_json::from_str(&spec).unwrap();
        let one = Override::new("shop", "x", None, spec).unwrap();
        let retention = Retention { successes: 1, failures: 1 };
        prunable(&all, &[one], &LiveReleases::default(), retention).len()
    };
    assert!(gone("Retire") > 0);
    assert_eq!((gone("Attest"), gone("Invalidate")), (0, 0));
}

#[test]
fn successes_that_do_not_count_never_take_the_place_of_those_that_do() {
    let mut attempts = Attempts::default();
    for sample in [ok("first", "v1", 10), ok("counts", "v1", 20), ok("later", "v1", 30)] {
        attempts.observe_record(sample.attempt());
    }
    let live = LiveReleases::default();
    let all: Vec<&Sighting> = attempts.of_namespace("shop").collect();
    let retention = Retention { successes: 1, failures: 0 };
    let counts = |attempt: &Attempt| attempt.uid == "counts";
    let gone = prunable_by(&all, &[], &live, retention, &ImageNames::default(), counts);
    let gone: Vec<_> = gone.iter().map(|s| s.attempt().uid.as_str()).collect();
    assert!(!gone.contains(&"counts"), "{gone:?}");
    let all_count = prunable(&all, &[], &live, retention);
    assert!(
        all_count.iter().any(|s| s.attempt().uid == "counts"),
        "where all count, it is neither first nor last"
    );
}

/// What goes where attempts whose UID begins with `x` do not count.
fn gone_but_strange(samples: Vec<Sample>) -> Vec<String> {
    let mut attempts = Attempts::default();
    for sample in samples {
        attempts.observe_record(sample.attempt());
    }
    let all: Vec<&Sighting> = attempts.of_namespace("shop").collect();
    let retention = Retention { successes: 1, failures: 0 };
    let counts = |attempt: &Attempt| !attempt.uid.starts_with('x');
    let live = LiveReleases::default();
    let gone = prunable_by(&all, &[], &live, retention, &ImageNames::default(), counts);
    gone.iter().map(|s| s.attempt().uid.clone()).collect()
}

/// Without its first success that counts, v1 would come after the border of the contract once it ran again.
#[test]
fn a_first_success_that_does_not_count_is_none() {
    let contract = ok("c", "v2", 40).named("shop-contract").phase(MigrationPhase::Contract, true);
    let gone = gone_but_strange(vec![
        ok("x1", "v1", 0),
        ok("first", "v1", 10),
        ok("x2", "v2", 15),
        ok("border", "v2", 20),
        contract.safe_from("v2"),
        ok("v3", "v3", 50),
        ok("between", "v1", 60),
        ok("again", "v1", 300),
    ]);
    assert!(gone.contains(&"between".to_owned()) && gone.contains(&"v3".to_owned()), "{gone:?}");
    for kept in ["first", "border", "c", "again"] {
        assert!(!gone.contains(&kept.to_owned()), "{kept}: {gone:?}");
    }
}

/// Without the border, the contract itself would be it, and what ran between the two would be past it.
#[test]
fn the_release_that_a_contract_is_safe_from_stays_by_every_name() {
    let contract = ok("c", "v5", 55).named("shop-contract").phase(MigrationPhase::Contract, true);
    let mut attempts = Attempts::default();
    for n in 1..=8 {
        attempts.observe_record(ok(&format!("s{n}"), &format!("v{n}"), n * 10).attempt());
    }
    attempts.observe_record(contract.safe_from("mirror.example.com/shop/api:v3").attempt());
    let all: Vec<&Sighting> = attempts.of_namespace("shop").collect();
    let retention = Retention { successes: 1, failures: 0 };
    let goes = |names: &ImageNames| {
        let gone = prunable_by(&all, &[], &LiveReleases::default(), retention, names, |_| true);
        gone.iter().any(|sighting| sighting.attempt().uid == "s3")
    };
    assert!(goes(&ImageNames::default()));
    let alias = Alias::new("mirror.example.com", "docker.io").unwrap();
    assert!(!goes(&ImageNames { floating: Vec::new(), aliases: vec![alias] }));
}

/// The strange revert takes nothing back, so the success in the middle is what proves its migration.
#[test]
fn a_revert_that_does_not_count_takes_nothing_back() {
    let revert = ok("xr", "v2", 40).named("shop-revert").phase(MigrationPhase::Revert, true);
    let gone = gone_but_strange(vec![
        ok("v1", "v1", 0),
        ok("first", "v2", 10),
        ok("billing", "v2", 20).named("billing"),
        ok("last", "v2", 30),
        revert,
        bad("retried", "v2", 50).named("billing"),
        ok("billing3", "v3", 60).named("billing"),
        ok("v2", "v2", 70),
    ]);
    assert!(!gone.contains(&"billing".to_owned()), "{gone:?}");
}
