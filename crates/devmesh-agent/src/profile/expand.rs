//! From a profile and a task to the command line of one run.

use std::collections::BTreeMap;

use super::{Permission, Profile, PromptBy};
use crate::error::{Error, Result};

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
}

impl Profile {
    /// The command line of a run.
    ///
    /// # Errors
    /// When the profile says nothing about the permission mode asked for but about others: to
    /// run then would mean rights that nobody chose.
    pub fn invocation(&self, wanted: &Wanted<'_>) -> Result<Invocation> {
        let permission = match self.permissions.get(&wanted.permission) {
            Some(permission) => permission.clone(),
            None if self.permissions.is_empty() => super::PermissionArgs::default(),
            None => {
                let reason = format!("it has no permission mode {:?}", wanted.permission);
                return Err(Error::Profile { profile: self.name.clone(), reason });
            }
        };
        let (template, resumes) = match (wanted.session, &self.resume_args) {
            (Some(_), Some(args)) => (args, true),
            _ => (&self.args, false),
        };
        let model: Vec<String> = match wanted.model {
            Some(name) => self.model_args.iter().map(|arg| arg.replace("{model}", name)).collect(),
            None => Vec::new(),
        };
        let mut args = Vec::new();
        for part in template {
            match part.as_str() {
                "{permission}" => args.extend(permission.args.iter().cloned()),
                "{model}" => args.extend(model.iter().cloned()),
                text => args.push(filled(text, wanted)),
            }
        }
        let stdin = match self.prompt {
            PromptBy::Stdin => wanted.prompt.to_owned(),
            PromptBy::Argument => String::new(),
        };
        let mut env = self.env.clone();
        env.extend(permission.env);
        Ok(Invocation { args, stdin, env, resumes })
    }
}

/// One pass over the template, so that text put in is never read as template again.
fn filled(template: &str, wanted: &Wanted<'_>) -> String {
    let mut rest = template;
    let mut text = String::new();
    while let Some(at) = rest.find('{') {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let known = [
            ("{worktree}", wanted.worktree),
            ("{session}", wanted.session.unwrap_or_default()),
            ("{prompt}", wanted.prompt),
        ];
        match known.iter().find(|(name, _)| rest.starts_with(name)) {
            Some((name, value)) => {
                text.push_str(value);
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
