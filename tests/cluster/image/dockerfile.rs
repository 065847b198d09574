//! The last stage of a Dockerfile, done without an engine.
//!
//! An instruction, a flag or a form that is not known here is an error: an image that is nearly what the Dockerfile
//! says would be worse than none.

mod words;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Image, ImageError};
use words::{Word, split};

/// Why a Dockerfile cannot be followed.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct DockerfileError {
    /// Number of the line on which the instruction starts, from 1.
    pub line: usize,
    pub problem: Problem,
}

/// What is wrong with an instruction.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    #[error("{0} is not known here")]
    Instruction(String),
    #[error("the last stage stands on {0}; without an engine it can only stand on scratch")]
    Base(String),
    #[error("there is no instruction FROM")]
    NoStage,
    #[error("the flag {0} is not known here")]
    Flag(String),
    #[error("there is no stage {0} before the last one whose files are at hand")]
    Stage(String),
    #[error("{0} is neither an ARG nor an ENV of this stage")]
    Variable(String),
    #[error("want {0}")]
    Form(&'static str),
    #[error(transparent)]
    Image(#[from] ImageError),
}

/// What an engine would be given beside the Dockerfile.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// The directory that COPY reads from.
    pub context: PathBuf,
    /// Directories that stand for the roots of earlier stages, by the stage's name.
    pub stages: BTreeMap<String, PathBuf>,
    /// Build arguments, which outrank the defaults of ARG.
    pub arguments: BTreeMap<String, String>,
}

/// The image of this name that the last stage of the Dockerfile describes.
pub fn image(dockerfile: &str, name: &str, inputs: &Inputs) -> Result<Image, DockerfileError> {
    let instructions = instructions(dockerfile);
    let is_from = |instruction: &Instruction| instruction.keyword == "FROM";
    let none = DockerfileError { line: 1, problem: Problem::NoStage };
    let last = instructions.iter().rposition(is_from).ok_or(none)?;
    let (before, stage) = instructions.split_at(last);
    let mut following = Following {
        inputs,
        stages: before
            .iter()
            .filter(|instruction| is_from(instruction))
            .filter_map(alias)
            .collect(),
        global: BTreeMap::new(),
        variables: BTreeMap::new(),
        image: Image::new(name),
    };
    for instruction in before.iter().take_while(|instruction| !is_from(instruction)) {
        following.global_argument(instruction).map_err(|problem| instruction.error(problem))?;
    }
    for instruction in stage {
        following = following.follow(instruction).map_err(|problem| instruction.error(problem))?;
    }
    Ok(following.image)
}

#[derive(Debug)]
struct Instruction {
    line: usize,
    keyword: String,
    rest: String,
}

impl Instruction {
    fn error(&self, problem: Problem) -> DockerfileError {
        DockerfileError { line: self.line, problem }
    }
}

/// The instructions, with continued lines joined and comments left out, also those between continued lines.
fn instructions(dockerfile: &str) -> Vec<Instruction> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut continued = false;
    for (number, line) in dockerfile.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let body = line.strip_suffix('\\');
        let text = body.unwrap_or(line);
        match found.last_mut().filter(|_| continued) {
            Some((_, joined)) => joined.push_str(text),
            None => found.push((number + 1, text.to_owned())),
        }
        continued = body.is_some();
    }
    let parse = |(line, text): (usize, String)| {
        let (keyword, rest) = text.split_once(char::is_whitespace).unwrap_or((&text, ""));
        Instruction { line, keyword: keyword.to_uppercase(), rest: rest.trim().to_owned() }
    };
    found.into_iter().map(parse).collect()
}

/// The name of a stage: `FROM base AS name`.
fn alias(from: &Instruction) -> Option<String> {
    let words: Vec<&str> = from.rest.split_whitespace().collect();
    let position = words.iter().position(|word| word.eq_ignore_ascii_case("as"))?;
    words.get(position + 1).map(|name| (*name).to_owned())
}

struct Following<'i> {
    inputs: &'i Inputs,
    stages: Vec<String>,
    /// ARGs before the first FROM, which a stage sees where it names them again.
    global: BTreeMap<String, String>,
    variables: BTreeMap<String, String>,
    image: Image,
}

impl Following<'_> {
    fn global_argument(&mut self, instruction: &Instruction) -> Result<(), Problem> {
        if instruction.keyword != "ARG" {
            return Err(Problem::Instruction(instruction.keyword.clone()));
        }
        for Word { text, value } in split(&instruction.rest, &self.global)? {
            let value = self.inputs.arguments.get(&text).cloned().or(value);
            self.global.insert(text, value.unwrap_or_default());
        }
        Ok(())
    }

    fn follow(mut self, instruction: &Instruction) -> Result<Self, Problem> {
        let rest = instruction.rest.as_str();
        match instruction.keyword.as_str() {
            "FROM" => match rest.split_whitespace().next() {
                Some("scratch") => {}
                base => return Err(Problem::Base(base.unwrap_or_default().to_owned())),
            },
            "ARG" => {
                for Word { text, value } in self.words(rest)? {
                    let given = self.inputs.arguments.get(&text).cloned();
                    let known = || self.global.get(&text).cloned();
                    let value = given.or(value).or_else(known).unwrap_or_default();
                    self.variables.insert(text, value);
                }
            }
            "ENV" => {
                for (name, value) in self.pairs(rest)? {
                    self.image = self.image.env(&name, &value);
                    self.variables.insert(name, value);
                }
            }
            "LABEL" => {
                for (key, value) in self.pairs(rest)? {
                    self.image = self.image.label(&key, &value);
                }
            }
            "USER" => {
                let user = self.word(rest)?;
                self.image = self.image.user(&user);
            }
            "WORKDIR" => {
                let path = self.word(rest)?;
                self.image = self.image.working_directory(&path);
            }
            "ENTRYPOINT" => self.image = self.image.entrypoint(list(rest)?),
            "CMD" => self.image = self.image.command(list(rest)?),
            "COPY" => return self.copy(rest),
            other => return Err(Problem::Instruction(other.to_owned())),
        }
        Ok(self)
    }

    fn copy(mut self, rest: &str) -> Result<Self, Problem> {
        let mut words: Vec<String> = self.words(rest)?.into_iter().map(Word::whole).collect();
        let mut root = self.inputs.context.clone();
        let mut mode = None;
        while let Some(flag) = words.first().filter(|word| word.starts_with("--")).cloned() {
            words.remove(0);
            if let Some(stage) = flag.strip_prefix("--from=") {
                root = self.stage(stage)?;
            } else if let Some(digits) = flag.strip_prefix("--chmod=") {
                let octal = u32::from_str_radix(digits, 8).ok().filter(|mode| *mode <= 0o7777);
                mode = Some(octal.ok_or(Problem::Form("an octal mode"))?);
            } else {
                return Err(Problem::Flag(flag));
            }
        }
        let target = words.pop().filter(|_| !words.is_empty());
        let target = target.ok_or(Problem::Form("COPY SOURCE... TARGET"))?;
        if !target.starts_with('/') || (words.len() > 1 && !target.ends_with('/')) {
            return Err(Problem::Form(
                "an absolute target, with a slash behind it for many sources",
            ));
        }
        for source in words {
            let place = inside(&root, &source)?;
            // A directory is copied by what is in it, whatever its own name is.
            let path = match place.file_name().and_then(|name| name.to_str()) {
                Some(name) if target.ends_with('/') && !place.is_dir() => format!("{target}{name}"),
                _ => target.clone(),
            };
            self.image = self.image.copy_as(&place, &path, mode)?;
        }
        Ok(self)
    }

    fn stage(&self, name: &str) -> Result<PathBuf, Problem> {
        let known = self.stages.iter().any(|stage| stage == name);
        let root = self.inputs.stages.get(name).filter(|_| known);
        root.cloned().ok_or_else(|| Problem::Stage(name.to_owned()))
    }

    fn words(&self, text: &str) -> Result<Vec<Word>, Problem> {
        split(text, &self.variables)
    }

    fn word(&self, text: &str) -> Result<String, Problem> {
        match <[Word; 1]>::try_from(self.words(text)?) {
            Ok([word]) => Ok(word.whole()),
            Err(_) => Err(Problem::Form("one word")),
        }
    }

    fn pairs(&self, text: &str) -> Result<Vec<(String, String)>, Problem> {
        let pair = |word: Word| {
            let value = word.value.ok_or(Problem::Form("KEY=VALUE"))?;
            Ok((word.text, value))
        };
        self.words(text)?.into_iter().map(pair).collect()
    }
}

/// A source below its root; a pattern or a way out of the root is not known here.
fn inside(root: &Path, source: &str) -> Result<PathBuf, Problem> {
    if source.contains(['*', '?', '[', '<']) || source.split('/').any(|part| part == "..") {
        return Err(Problem::Form("a source by its plain path"));
    }
    Ok(root.join(source.trim_start_matches('/')))
}

/// A command as a list, the one form that needs no shell.
fn list(text: &str) -> Result<Vec<String>, Problem> {
    serde_json::from_str(text).map_err(|_| Problem::Form("a JSON list: a shell is not at hand"))
}
