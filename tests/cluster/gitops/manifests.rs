//! The recipe's three objects for a release: a migration, the app, and a verification.

use crate::cluster::argocd::{self, Application, Draft};

/// All three, as the files of an Application.
pub(crate) fn release(tag: &str, outcome: &str) -> [(&'static str, String); 3] {
    [
        ("migration.yaml", migration(tag, outcome)),
        ("app.yaml", app(tag)),
        ("verification.yaml", verification(tag)),
    ]
}

/// The migration: a `PreSync` hook on the app's own image. `outcome` is what becomes of its pod.
pub(crate) fn migration(tag: &str, outcome: &str) -> String {
    format!(
        "apiVersion: batch/v1
kind: Job
metadata:
  name: shop-migrate
  annotations:
    argocd.argoproj.io/hook: PreSync
    argocd.argoproj.io/hook-delete-policy: BeforeHookCreation
spec:
  backoffLimit: 0
  template:
    metadata:
      annotations: {{test.wavegate.dev/outcome: {outcome}}}
    spec:
      restartPolicy: Never
      containers:
        - {{name: migrate, image: 'example.com/shop:{tag}', command: [migrate]}}
"
    )
}

/// The app.
pub(crate) fn app(tag: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata:
  name: shop-api
spec:
  replicas: 2
  selector:
    matchLabels: {{app: shop-api}}
  template:
    metadata:
      labels: {{app: shop-api}}
    spec:
      containers:
        - {{name: api, image: 'example.com/shop:{tag}'}}
"
    )
}

/// The verification: a `PostSync` hook that goes away once it has succeeded.
pub(crate) fn verification(tag: &str) -> String {
    format!(
        "apiVersion: batch/v1
kind: Job
metadata:
  name: shop-verify
  annotations:
    argocd.argoproj.io/hook: PostSync
    argocd.argoproj.io/hook-delete-policy: HookSucceeded
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers:
        - {{name: verify, image: 'example.com/shop:{tag}', command: [verify]}}
"
    )
}

/// An Application of all three.
pub(crate) fn recipe(test: &str, tag: &str, outcome: &str) -> Draft<'static> {
    argocd::shared().application(test).files(release(tag, outcome))
}

/// The image of an object's first container.
pub(crate) fn image_of(application: &Application<'_>, kind: &str, name: &str) -> String {
    let object = application.get(kind, name);
    let image = &object["spec"]["template"]["spec"]["containers"][0]["image"];
    image.as_str().unwrap_or_default().to_owned()
}
