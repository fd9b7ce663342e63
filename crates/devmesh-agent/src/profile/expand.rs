//! From a profile and a task to the command line of one run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::{Permission, PermissionArgs, Profile, PromptBy};
use crate::error::{Error, Result};

/// The file that the prompt of a run is in, for tools that read one.
const PROMPT_FILE: &str = "prompt.md";

/// What is wanted of a run.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    /// The worktree.
    pub worktree: &'a str,
    /// The prompt.
    pub prompt: &'a str,
    /// The session to continue, where there is one.
    pub session: Option<&'a str>,
    /// The model, where one is asked for.
    pub model: Option<&'a str>,
    /// What the tool may do.
    pub permission: Permission,
    /// The folder of what is made for the run; the same for all runs of an attempt.
    pub folder: &'a Path,
    /// The id of a session that is begun, for tools that take one.
    pub new_session: Uuid,
}

/// A command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// The arguments.
    pub args: Vec<String>,
    /// What stdin gets; empty closes it.
    pub stdin: String,
    /// Variables beyond the allow-list.
    pub env: BTreeMap<String, String>,
    /// It continues the session that was asked for.
    pub resumes: bool,
    /// The session's id, where it is known before the run.
    pub session: Option<String>,
    /// Files of its folder, by name.
    pub files: BTreeMap<String, String>,
    /// A home of its own.
    pub home: Option<PathBuf>,
    /// Where the tool writes what it used.
    pub usage_file: Option<String>,
}

impl Profile {
    /// The command line of a run.
    ///
    /// # Errors
    /// When the profile says nothing about the permission mode asked for but about others: to
    /// run then would mean rights that nobody chose. When the tool needs a model and none is said.
    pub fn invocation(&self, wanted: &Wanted<'_>) -> Result<Invocation> {
        let permission = self.rights(wanted.permission)?;
        if self.model_required && wanted.model.is_none() {
            let reason = "it needs a model: say which with --model".to_owned();
            return Err(Error::Profile { profile: self.name.clone(), reason });
        }
        let (template, resumes) = match (wanted.session, &self.resume_args) {
            (Some(_), Some(args)) => (args, true),
            _ => (&self.args, false),
        };
        let fill = Fill::of(wanted, resumes);
        let model: Vec<String> = match wanted.model {
            Some(name) => self.model_args.iter().map(|arg| arg.replace("{model}", name)).collect(),
            None => Vec::new(),
        };
        let mut args = Vec::new();
        for part in template {
            match part.as_str() {
                "{permission}" => args.extend(permission.args.iter().map(|arg| fill.text(arg))),
                "{model}" => args.extend(model.iter().cloned()),
                text => args.push(fill.text(text)),
            }
        }
        let stdin = match self.prompt {
            PromptBy::Stdin => wanted.prompt.to_owned(),
            PromptBy::Argument | PromptBy::File => String::new(),
        };
        let env = self.env.iter().chain(&permission.env);
        let env = env.map(|(name, value)| (name.clone(), fill.text(value))).collect();
        let files = self.files.iter().chain(&permission.files);
        let files = files.map(|(name, text)| (name.clone(), fill.file(name, text)));
        let prompt = (PROMPT_FILE.to_owned(), wanted.prompt.to_owned());
        let prompt = (self.prompt == PromptBy::File).then_some(prompt);
        Ok(Invocation {
            args,
            stdin,
            env,
            resumes,
            session: fill.known_session(self).map(str::to_owned),
            files: files.chain(prompt).collect(),
            home: self.home.as_ref().map(|home| PathBuf::from(fill.text(&home.at))),
            usage_file: self.usage_file.as_ref().map(|path| fill.text(path)),
        })
    }

    fn rights(&self, permission: Permission) -> Result<PermissionArgs> {
        match self.permissions.get(&permission) {
            Some(rights) => Ok(rights.clone()),
            None if self.permissions.is_empty() => Ok(PermissionArgs::default()),
            None => {
                let reason = format!("it has no permission mode {}", permission.name());
                Err(Error::Profile { profile: self.name.clone(), reason })
            }
        }
    }
}

/// What the placeholders of one run stand for.
struct Fill<'a> {
    worktree: &'a str,
    prompt: &'a str,
    folder: String,
    prompt_file: String,
    session: String,
    resumes: bool,
}

impl<'a> Fill<'a> {
    fn of(wanted: &Wanted<'a>, resumes: bool) -> Self {
        let session = match wanted.session.filter(|_| resumes) {
            Some(session) => session.to_owned(),
            None => wanted.new_session.to_string(),
        };
        Self {
            worktree: wanted.worktree,
            prompt: wanted.prompt,
            folder: wanted.folder.display().to_string(),
            prompt_file: wanted.folder.join(PROMPT_FILE).display().to_string(),
            session,
            resumes,
        }
    }

    /// The session's id, where the tool is told it: it need not be waited for then.
    fn known_session(&self, profile: &Profile) -> Option<&str> {
        let mut told = profile.args.iter().chain(profile.env.values());
        let names_it = told.any(|text| text.contains("{new_session}"));
        (self.resumes || names_it).then_some(&*self.session)
    }

    /// One pass over the template, so that text put in is never read as template again.
    fn text(&self, template: &str) -> String {
        self.fill(template, |value| value.to_owned())
    }

    /// As [`Fill::text`]; inside of JSON the values are escaped.
    fn file(&self, name: &str, template: &str) -> String {
        if !name.ends_with(".json") {
            return self.text(template);
        }
        self.fill(template, |value| {
            let quoted = serde_json::Value::from(value).to_string();
            quoted[1..quoted.len() - 1].to_owned()
        })
    }

    fn fill(&self, template: &str, put: impl Fn(&str) -> String) -> String {
        let known = [
            ("{worktree}", self.worktree),
            ("{session}", &self.session),
            ("{new_session}", &self.session),
            ("{prompt}", self.prompt),
            ("{prompt_file}", &self.prompt_file),
            ("{run}", &self.folder),
        ];
        let mut rest = template;
        let mut text = String::new();
        while let Some(at) = rest.find('{') {
            text.push_str(&rest[..at]);
            rest = &rest[at..];
            match known.iter().find(|(name, _)| rest.starts_with(name)) {
                Some((name, value)) => {
                    text.push_str(&put(value));
                    rest = &rest[name.len()..];
                }
                None => {
                    text.push('{');
                    rest = &rest[1..];
                }
            }
        }
        text.push_str(rest);
        text
    }
}
