//! Programs that run another command, and what they run.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use super::names::listed;
use super::program::{Program, Via, file_name};
use super::tasks;
use crate::domain::waiter::seconds;

/// What is left of a command line when its first program is taken off.
#[derive(Debug)]
pub(in crate::domain) enum Step<'a> {
    /// The command that it runs.
    Command(&'a [&'a str]),
    /// The script that it runs, with its arguments.
    Interpreted(&'a [&'a str]),
    /// The same, for this long.
    Timed(Duration, &'a [&'a str]),
    /// A shell's script with its options and positional parameters.
    Script { text: &'a str, errexit: bool, pipefail: bool, parameters: &'a [&'a str] },
    /// `eval`: its arguments together are a script.
    Eval(&'a [&'a str]),
    /// A program that runs nothing else that we know of.
    Program(Program<'a>, &'a [&'a str]),
    /// Targets of a task runner, such as make's.
    Targets(&'static str, &'a [&'a str]),
    /// Nothing that could change a schema.
    Nothing,
}

/// How to get behind a wrapper's own arguments.
struct Wrapper {
    names: &'static str,
    /// Options that take the next argument as their value.
    valued: &'static str,
    /// Words that must follow, such as `exec` behind `bundle`.
    words: &'static str,
    /// Positional arguments in front of the command.
    operands: usize,
}

const fn wrapper(names: &'static str) -> Wrapper {
    Wrapper { names, valued: "", words: "", operands: 0 }
}

impl Wrapper {
    const fn valued(mut self, valued: &'static str) -> Self {
        self.valued = valued;
        self
    }

    const fn words(mut self, words: &'static str) -> Self {
        self.words = words;
        self
    }

    const fn operands(mut self, operands: usize) -> Self {
        self.operands = operands;
        self
    }
}

const WRAPPERS: &[Wrapper] = &[
    wrapper("exec").valued("-a"),
    wrapper("nohup busybox setsid builtin coproc catatonit with-contenv vault-env secrets-init"),
    wrapper("env").valued("-u --unset -C --chdir"),
    wrapper("nice").valued("-n --adjustment"),
    wrapper("ionice").valued("-c -n --class --classdata"),
    wrapper("time").valued("-o -f"),
    wrapper("stdbuf").valued("-i -o -e"),
    wrapper("sudo").valued("-u -g -h -p -C -D -T --user --group"),
    wrapper("doas").valued("-u -C"),
    wrapper("su-exec gosu s6-setuidgid setuidgid envdir s6-envdir op-env")
    .operands(1),
    wrapper("setpriv").valued("--reuid --regid --groups --inh-caps"),
    wrapper("chpst").valued("-u -U -e -m -n -l -L -/"),
    wrapper("flock")
        .valued("-w -E --timeout --wait")
        .operands(1),
    wrapper("dumb-init").valued("-r --rewrite"),
    wrapper("tini tini-static").valued("-p -e -l"),
    wrapper("launcher"),
    wrapper("bundle").words("exec"),
    wrapper("npx bunx pnpx pipx uvx").valued("-p --package --spec --from --with"),
    wrapper("poetry pipenv pdm hatch rye")
        .valued("-C -P --directory -p -e")
        .words("run"),
    wrapper("uv")
        .valued("--with --python -p --project --directory --extra --group --env-file --package --index --only-group")
        .words("run"),
    wrapper("conda mamba micromamba")
        .valued("-n --name -p --prefix --cwd")
        .words("run"),
    wrapper("doppler")
        .valued("-p -c --project --config -t --token")
        .words("run"),
    wrapper("op infisical teller dotenvx akeyless")
        .valued("-f --env --path --env-file --projectId")
        .words("run"),
    wrapper("chamber aws-vault berglas")
        .words("exec")
        .operands(1),
    wrapper("sops").words("exec-env").operands(1),
    wrapper("uv").words("tool run"),
    wrapper("pipx dotenv").words("run"),
    wrapper("xargs").valued("-I -n -P -L -d -E -s -a"),
    wrapper("dotenv env-cmd").valued("-e -f -v -c"),
    wrapper("cross-env cross-env-shell"),
    wrapper("opentelemetry-instrument ddtrace-run scuttle linkerd-await")
    .valued("-p -t --port --timeout"),
    wrapper("newrelic-admin").words("run-program"),
    wrapper("hivemind envconsul").valued("-config -prefix -secret"),
    wrapper("go").words("run"),
];

const SHELLS: &str = "sh bash ash dash zsh ksh rbash mksh";

/// Interpreters, with options that take a value, and those behind which code stands.
const INTERPRETERS: &[(&str, &str, &str)] = &[
    ("python", "-W -X", "-c"),
    ("pypy", "-W -X", "-c"),
    ("ruby", "-I -r -C", "-e"),
    ("php", "-d -c", "-r"),
    ("node", "-r --require --loader --import --env-file -C", "-e -p --eval"),
    ("ts-node", "-r --require -P --project -O", "-e -p"),
    ("ts-node-esm", "-P --project", "-e"),
    ("tsx", "--tsconfig --env-file", "-e"),
    ("babel-node", "--presets --extensions", "-e"),
    ("vite-node", "", ""),
    ("perl", "-I -M", "-e -E"),
    ("elixir", "", "-e"),
    (".", "", ""),
    ("source", "", ""),
];

/// Programs that have nothing to do with a schema, whatever their arguments say. Tools that move data,
/// files, secrets, indices or Kubernetes objects have a `migrate` of their own.
const INERT: &str = "\
    echo printf cat grep egrep rg sed awk rm cp mv ls mkdir chown chmod touch find tar gzip tee test
    [ [[ (( sleep cd export set true false : exit return trap which type date head tail sort jq yq
    envsubst openssl git ssh scp rsync rclone restic kubectl oc helm helmfile kustomize kyverno
    kubectl-kyverno kubent docker podman nerdctl argocd argo flux istioctl linkerd cilium cilium-dbg
    velero ansible ansible-playbook terraform tofu terragrunt pulumi vault bao consul consul-k8s
    consul-k8s-control-plane nomad etcdctl etcdutl mc aws gcloud gsutil az s3cmd pv-migrate
    kube-webhook-certgen certgen cmctl kubeseal longhorn-manager kafka-topics kafka-topics.sh rpk
    elasticdump pg_dump pg_dumpall pg_restore pg_upgrade mysqldump mongodump mongorestore
    mysql_upgrade apt apt-get apk yum dnf microdnf pip pip3 gem supervisord nginx gunicorn uvicorn
    puma unicorn celery sidekiq daphne hypercorn httpd apache2-foreground php-fpm
    tailscale wg-quick ip systemctl pm2 docker-compose";

/// Takes the first program off a command line. `via` is where its name stands.
pub(in crate::domain) fn unwrap<'a>(line: &'a [&'a str], via: Via) -> Step<'a> {
    let assignments = line.iter().take_while(|word| is_assignment(word)).count();
    if assignments > 0 {
        return Step::Command(line.get(assignments..).unwrap_or_default());
    }
    let Some((&head, args)) = line.split_first() else {
        return Step::Nothing;
    };
    let name = file_name(head);
    let family = FAMILIES.get(name);
    match family {
        Some(Family::Inert) => return Step::Nothing,
        Some(Family::Shell) => return shell(args),
        Some(Family::Wrapper) | None => {}
    }
    let wrapped = || {
        family?;
        let mut fitting = WRAPPERS.iter().filter(|wrapper| listed(wrapper.names, name));
        fitting.find_map(|wrapper| wrapper.inner(args))
    };
    special(name, args)
        .or_else(|| wrapped().map(Step::Command))
        .or_else(|| interpreter(name, args))
        .or_else(|| tasks::unwrap(name, args))
        .unwrap_or(Step::Program(Program::path(head, via), args))
}

/// What a name in the lists above is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Inert,
    Shell,
    Wrapper,
}

/// Every name in the lists above. Most programs are in none of them, and one look-up is cheaper than all lists.
static FAMILIES: LazyLock<HashMap<&'static str, Family>> = LazyLock::new(|| {
    let wrappers = WRAPPERS.iter().map(|wrapper| (wrapper.names, Family::Wrapper));
    // A later entry replaces an earlier one: what is inert is so whatever else has its name.
    let lists = wrappers.chain([(SHELLS, Family::Shell), (INERT, Family::Inert)]);
    lists
        .flat_map(|(names, family)| names.split_ascii_whitespace().map(move |name| (name, family)))
        .collect()
});

/// `NAME=value`, as `env` and shells take it in front of a command.
fn is_assignment(word: &str) -> bool {
    let Some((name, _)) = word.split_once('=') else {
        return false;
    };
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Skips options, and the values of those that take one. `--` ends them and is skipped too.
pub(in crate::domain) fn skip_options<'a>(args: &'a [&'a str], valued: &str) -> &'a [&'a str] {
    let mut at = 0;
    while let Some(arg) = args.get(at) {
        if *arg == "--" {
            at += 1;
            break;
        }
        if !arg.starts_with('-') || arg.len() < 2 {
            break;
        }
        at += if listed(valued, arg) { 2 } else { 1 };
    }
    args.get(at..).unwrap_or_default()
}

impl Wrapper {
    fn inner<'a>(&self, args: &'a [&'a str]) -> Option<&'a [&'a str]> {
        let mut rest = args;
        for word in self.words.split_ascii_whitespace() {
            let (first, after) = skip_options(rest, self.valued).split_first()?;
            if *first != word {
                return None;
            }
            rest = after;
        }
        rest = skip_options(rest, self.valued);
        if self.operands > 0 {
            let separator = rest.iter().position(|arg| *arg == "--");
            rest = match separator {
                Some(at) => rest.get(at + 1..)?,
                None => skip_options(rest.get(self.operands..)?, self.valued),
            };
        }
        (!rest.is_empty()).then_some(rest)
    }
}

/// Wrappers with a grammar of their own.
fn special<'a>(name: &str, args: &'a [&'a str]) -> Option<Step<'a>> {
    match name {
        "eval" => Some(Step::Eval(args)),
        // `command -v` looks a program up.
        "command" if args.first().is_some_and(|arg| listed("-v -V", arg)) => Some(Step::Nothing),
        "command" => Some(Step::Command(skip_options(args, ""))),
        "timeout" | "gtimeout" => {
            let rest = skip_options(args, "-s --signal -k --kill-after");
            // Old versions of busybox want `-t` in front of the number.
            let (limit, rest) = rest.split_first()?;
            Some(match seconds(limit) {
                Some(limit) => Step::Timed(limit, rest),
                None => Step::Command(rest),
            })
        }
        "runuser" => script_behind(args, 8)
            .or_else(|| Some(Step::Command(skip_options(args, "-u -g -G --user")))),
        "flock" => script_behind(args, 4),
        "su" | "doppler" | "infisical" => script_behind(args, 8),
        "npx" => script_behind(args, args.iter().take_while(|arg| arg.starts_with('-')).count()),
        "uv" => {
            let at = args.iter().position(|arg| listed("-m --module", arg))?;
            let before = args.get(at.checked_sub(1)?)?;
            let (module, rest) = args.get(at + 1..)?.split_first()?;
            let is_own = before.starts_with('-') || *before == "run";
            is_own.then(|| Step::Program(Program::module(module), rest))
        }
        _ => None,
    }
}

/// A script behind `-c`, which is one of the first arguments.
fn script_behind<'a>(args: &'a [&'a str], first: usize) -> Option<Step<'a>> {
    let at = args.iter().take(first).position(|arg| listed("-c --command --call", arg))?;
    Some(Step::script(args.get(at + 1)?, args.get(at + 2..)?))
}

/// `sh [options] -c SCRIPT [name [parameter ...]]`, or a script file.
fn shell<'a>(args: &'a [&'a str]) -> Step<'a> {
    let (mut errexit, mut pipefail, mut is_text) = (false, false, false);
    let mut at = 0;
    while let Some(arg) = args.get(at).filter(|arg| arg.starts_with(['-', '+']) && arg.len() > 1) {
        at += 1;
        if let Some(letters) = arg.strip_prefix('-').filter(|rest| !rest.starts_with('-')) {
            is_text |= letters.contains('c');
            errexit |= letters.contains('e');
            if letters.ends_with(['o', 'O']) {
                errexit |= args.get(at) == Some(&"errexit");
                pipefail |= args.get(at) == Some(&"pipefail");
                at += 1;
            }
        } else if *arg == "--" {
            break;
        }
    }
    let rest = args.get(at..).unwrap_or_default();
    match rest.split_first() {
        None => Step::Nothing,
        Some((text, parameters)) if is_text => Step::Script { text, errexit, pipefail, parameters },
        Some(_) => Step::Interpreted(rest),
    }
}

fn interpreter<'a>(name: &str, args: &'a [&'a str]) -> Option<Step<'a>> {
    let language = match name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.') {
        "" => name,
        language => language,
    };
    let (_, valued, code) = INTERPRETERS.iter().find(|(known, ..)| *known == language)?;
    let mut rest = args;
    while let Some((option, after)) = rest.split_first().filter(|(arg, _)| arg.starts_with('-')) {
        if listed(code, option) {
            return Some(Step::Nothing);
        }
        if *option == "-m" && matches!(language, "python" | "pypy") {
            let (module, args) = after.split_first()?;
            let is_phrase = module.contains(' ');
            let program = Step::Program(Program::module(module), args);
            return Some(if is_phrase { Step::Command(after) } else { program });
        }
        rest = if listed(valued, option) { after.get(1..).unwrap_or_default() } else { after };
    }
    Some(if rest.is_empty() { Step::Nothing } else { Step::Interpreted(rest) })
}

impl<'a> Step<'a> {
    fn script(text: &'a str, parameters: &'a [&'a str]) -> Self {
        Self::Script { text, errexit: false, pipefail: false, parameters }
    }
}
