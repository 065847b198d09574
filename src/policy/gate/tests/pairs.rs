//! Whose migrations a workload is judged by.

use super::*;

#[test]
fn another_apps_attempts_say_nothing() {
    let failed = |sample: Sample| sample.failed(130);
    let strangers = [
        failed(v2("app").app("billing")).with(|a| a.facts.ties.instance = Some("x".to_owned())),
        failed(v2("repository").repository("shop/billing")),
        failed(v2("namespace")).with(|a| a.facts.key.namespace = "other".to_owned()),
    ];
    let scene =
        Scene::update("v1", "v2").records([v1(), v2("a").succeeded(130)]).records(strangers);
    let labelled = scene.with(|scene| {
        let instance = r#""app.kubernetes.io/instance":"shop""#;
        scene.new = labelled(&scene.new, instance);
        scene.old = scene.old.as_deref().map(|old| labelled(old, instance));
    });
    assert_eq!(labelled.verdict(), "proven");
}

#[test]
fn two_releases_of_one_chart_do_not_hold_each_other() {
    let of = |sample: Sample, name: &str| {
        let name = name.to_owned();
        sample.with(|attempt| attempt.facts.ties.instance = Some(name))
    };
    let scene = Scene::update("v1", "v2").records([
        of(v1(), "blue"),
        of(v2("blue").succeeded(130), "blue"),
        of(v2("green").failed(130), "green"),
    ]);
    let instance = |scene: Scene, name: &str| {
        let label = format!(r#""app.kubernetes.io/instance":"{name}""#);
        scene
            .with(|scene| scene.new = labelled(&scene.new, &label))
            .with(|scene| scene.old = scene.old.as_deref().map(|old| labelled(old, &label)))
    };
    assert_eq!(instance(scene, "blue").verdict(), "proven");
}

#[test]
fn a_workload_that_leaves_its_pair_is_gated_all_the_same() {
    let scene = Scene::update("v1", "shop/api-next:v2").records([v1()]);
    assert_eq!(scene.verdict(), "never ran, newest m1");
    let label = |scene: &mut Scene| {
        let other = r#""wavegate.dev/app":"elsewhere""#;
        scene.new = scene.new.replacen(r#""wavegate.dev/app":null"#, other, 1);
    };
    let relabelled =
        Scene::update("v1", "v2").records([v1().app("shop")]).with(label).with(|scene| {
            let old = scene.old.take().unwrap_or_default();
            scene.old =
                Some(old.replacen(r#""wavegate.dev/app":null"#, r#""wavegate.dev/app":"shop""#, 1));
        });
    assert_eq!(relabelled.verdict(), "never ran, newest m1");
}

#[test]
fn a_runner_image_is_paired_by_label_and_compared_by_token() {
    let flyway = |uid: &str, token: &str| {
        Sample::new(uid, "11").repository("flyway/flyway").app("shop").token(token)
    };
    let release = |tag: &str, token: &str| {
        runs(tag).replacen(
            r#""wavegate.dev/app":null"#,
            &format!(
                r#""wavegate.dev/app":"shop","wavegate.dev/release":"{token}","wavegate.dev/container":"api""#
            ),
            1,
        )
    };
    let scene = |attempts: Vec<Sample>| {
        Scene::update("v1", "v2").records(attempts).with(|scene| {
            (scene.old, scene.new) = (Some(release("v1", "7")), release("v2", "8"));
        })
    };
    let seven = || flyway("seven", "7").succeeded(30);
    assert_eq!(scene(vec![seven()]).verdict(), "never ran, newest seven");
    let eight = || flyway("eight", "8").created(100);
    assert_eq!(scene(vec![seven(), eight().succeeded(130)]).verdict(), "proven");
    assert_eq!(scene(vec![seven(), eight().failed(130)]).verdict(), "Failed eight");
}

#[test]
fn each_image_of_the_app_is_judged() {
    let scene = Scene::update("v1", "v2").records([v1(), v2("a").succeeded(130)]).with(|scene| {
        scene.new = scene.new.replacen(
            r#"{"name":"api""#,
            r#"{"name":"worker","image":"shop/api:v3"},{"name":"api""#,
            1,
        );
    });
    assert_eq!(scene.verdicts(), ["other release a", "proven"]);
}

#[test]
fn a_likely_pair_is_judged_but_not_sure() {
    let of = |sample: Sample| {
        sample
            .repository("shop/migrations")
            .with(|a| a.facts.ties.instance = Some("shop".to_owned()))
    };
    let scene = Scene::update("v1", "v2").records([of(v2("a").failed(130))]).with(|scene| {
        scene.new = labelled(&scene.new, r#""app.kubernetes.io/instance":"shop""#);
    });
    assert_eq!(scene.verdict(), "ambiguous", "the exporter could be the app");
    let scene = scene.with(|scene| {
        let exporter = r#",{"name":"exporter","image":"prom/exporter:1"}"#;
        scene.new = scene.new.replace(exporter, "");
    });
    assert_eq!(scene.verdict(), "Failed a");
    assert!(scene.judge(|judgements| judgements.iter().all(|judgement| !judgement.sure)));
}

#[test]
fn a_mirror_is_its_original_in_pairing_in_comparison_and_in_what_is_unchanged() {
    use crate::domain::names::Alias;

    let mirror = |tag: &str| format!("mirror.example.com/hub/shop/api:{tag}");
    let digest = format!("@sha256:{}", "1".repeat(64));
    let ran = |uid: &str| {
        v2(uid).succeeded(130).with(|a| a.image_id = Some(format!("docker.io/shop/api{digest}")))
    };
    let by_digest = format!("mirror.example.com/hub/shop/api{digest}");
    let safe = || {
        let contract = Sample::new("c", "v3").named("contract").created(300).succeeded(310);
        let contract = contract.phase(MigrationPhase::Contract, true).safe_from(&mirror("v2"));
        let hotfix = Sample::new("m2.1", "v2.1").created(140).succeeded(150);
        [v1(), v2("m2").succeeded(130), hotfix, contract]
    };
    let cases = [
        ("unchanged", Scene::update("v1", &mirror("v1")).records([v1()]), vec![]),
        (
            "held",
            Scene::update(&mirror("v1"), &mirror("v2")).records([v1()]),
            vec!["never ran, newest m1"],
        ),
        ("created", Scene::create(&mirror("v2")).records([v1()]), vec!["other release m1"]),
        (
            "proven",
            Scene::create(&mirror("v2")).records([v1(), v2("m2").succeeded(130)]),
            vec!["proven"],
        ),
        ("by digest", Scene::create(&by_digest).records([v1(), ran("m2")]), vec!["proven"]),
        (
            "ran here",
            Scene::create(&mirror("v0")).records([v1().created(50)]).revision("v0", 0),
            vec!["ran here"],
        ),
        (
            "a floor by the mirror's name",
            Scene::update("v2", "v2.1").records([v1(), v2("m2").succeeded(130)]).with(|scene| {
                scene.new = requiring(&scene.new, &mirror("v2"));
            }),
            vec!["floor"],
        ),
        ("safe from the mirror's", Scene::update("v3", "v2").records(safe()), vec!["proven"]),
        ("safe after the mirror's", Scene::update("v3", "v2.1").records(safe()), vec!["proven"]),
    ];
    for (name, scene, want) in cases {
        let plain = scene.verdicts();
        let alias = Alias::new("mirror.example.com/hub", "docker.io").unwrap();
        let scene = scene.with(|scene| scene.policy.names.aliases.push(alias));
        assert_eq!(scene.verdicts(), want, "{name}");
        assert_ne!(scene.verdicts(), plain, "{name}: the alias makes the difference");
    }
}

#[test]
fn jobs_of_others_than_the_policy_lists_prove_nothing_and_take_nothing_back() {
    use crate::domain::glob::Glob;

    let by = |sample: Sample, creator: &str| {
        let creator = creator.to_owned();
        sample.with(|attempt| attempt.creator = Some(creator.into()))
    };
    let listed = |scene: Scene| {
        scene.with(|scene| {
            scene.policy.creators = vec![Glob::parse("system:serviceaccount:ci:*").unwrap()];
        })
    };
    let ours = "system:serviceaccount:ci:deployer";
    let of = |creator: &str| {
        Scene::update("v1", "v2").records([by(v1(), ours), by(v2("m2").succeeded(130), creator)])
    };
    assert_eq!(listed(of(ours)).verdict(), "proven");
    assert_eq!(of("alice").verdict(), "proven", "where nobody is listed, all count");
    assert_eq!(listed(of("alice")).verdict(), "Succeeded m2");
    let revert = by(
        Sample::new("r", "v2").phase(MigrationPhase::Revert, true).created(200).succeeded(230),
        "alice",
    );
    let scene = of(ours).records([revert]);
    assert_eq!(listed(scene).verdict(), "proven");
}
