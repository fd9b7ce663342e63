//! The bounds that a type alone does not carry, checked on every command before anything else
//! sees it; and the free texts of a command.

use super::{Command, Verb, agent, lock, mesh, task};
use crate::id::{CAPABILITY, TOOL, check_name};
use crate::limits::{
    LINE_CHARS_MAX, LIST_MAX, NEEDS_MB_MAX, NEEDS_SLOTS_MAX, PATHS_MAX, TEXT_BYTES_MAX,
};
use crate::plan;
use crate::reply::{Code, Rejection};

type Checked = Result<(), Rejection>;

fn over(field: &str, has: usize, what: &str, max: usize) -> Rejection {
    let text = format!("{field} has {has} {what}; at most {max} are taken");
    Rejection::new(Code::LimitExceeded, text).with_field(field)
}

/// One line for people: short, and without control characters.
fn line(field: &str, text: &str) -> Checked {
    let chars = text.chars().count();
    if chars > LINE_CHARS_MAX {
        return Err(over(field, chars, "characters", LINE_CHARS_MAX));
    }
    if text.chars().any(char::is_control) {
        return Err(Rejection::bad_field(field, "a line without control characters is expected"));
    }
    Ok(())
}

fn named(field: &str, text: &str) -> Checked {
    if text.trim().is_empty() {
        return Err(Rejection::bad_field(field, "it is empty"));
    }
    line(field, text)
}

/// Names of one kind; `what` is each of them.
fn names<'a>(
    field: &str,
    what: &'static str,
    names: impl IntoIterator<Item = &'a String>,
) -> Checked {
    let checked = names.into_iter().try_for_each(|name| check_name(what, name));
    checked.map_err(|bad| Rejection::bad_field(field, bad))
}

fn maybe(field: &str, text: Option<&String>) -> Checked {
    text.map_or(Ok(()), |text| line(field, text))
}

fn free_text(field: &str, text: &str) -> Checked {
    if text.len() > TEXT_BYTES_MAX {
        return Err(over(field, text.len(), "bytes", TEXT_BYTES_MAX));
    }
    if text.contains('\0') {
        return Err(Rejection::bad_field(field, "it holds a NUL"));
    }
    Ok(())
}

fn few<T>(field: &str, list: &[T], max: usize) -> Checked {
    if list.len() > max {
        return Err(over(field, list.len(), "entries", max));
    }
    Ok(())
}

fn lines(field: &str, list: &[String]) -> Checked {
    few(field, list, LIST_MAX)?;
    list.iter().try_for_each(|text| named(field, text))
}

/// A shell command may span lines.
fn shell(field: &str, list: &[String]) -> Checked {
    few(field, list, LIST_MAX)?;
    list.iter().try_for_each(|text| {
        if text.len() > 4096 {
            return Err(over(field, text.len(), "bytes", 4096));
        }
        if text.trim().is_empty() || text.contains('\0') {
            return Err(Rejection::bad_field(field, "a shell command is expected"));
        }
        Ok(())
    })
}

/// A git branch name, as far as it could do harm: git itself says the rest.
fn branch(field: &str, name: Option<&String>) -> Checked {
    let Some(name) = name else { return Ok(()) };
    line(field, name)?;
    let plain = |c: char| c.is_alphanumeric() || "/._-+@#".contains(c);
    let odd = name.is_empty()
        || name.starts_with(['-', '/', '.'])
        || name.ends_with(['/', '.'])
        || name.ends_with(".lock")
        || ["..", "//", "@{"].iter().any(|bad| name.contains(bad))
        || !name.chars().all(plain);
    if odd {
        Err(Rejection::bad_field(field, "the name of a git branch is expected"))
    } else {
        Ok(())
    }
}

/// A git object name: 40 or 64 hexadecimal digits.
fn object_name(field: &str, name: Option<&String>) -> Checked {
    let Some(name) = name else { return Ok(()) };
    let hex = name.bytes().all(|c| c.is_ascii_hexdigit() && !c.is_ascii_uppercase());
    if hex && matches!(name.len(), 40 | 64) {
        return Ok(());
    }
    Err(Rejection::bad_field(field, "a git object name, 40 or 64 hexadecimal digits, is expected"))
}

impl Command {
    pub(super) fn check_bounds(&self) -> Checked {
        match &self.verb {
            Verb::AgentJoin(body) => join(body),
            Verb::AgentLeave(body) => maybe("reason", body.reason.as_ref()),
            Verb::AgentDrain(body) => maybe("reason", body.reason.as_ref()),
            Verb::ActorAdd(_) | Verb::FrameworkRead(_) | Verb::Redact(_) => Ok(()),
            Verb::ActorEnd(body) => maybe("reason", body.reason.as_ref()),
            Verb::RepoAdd(body) => repo(body),
            Verb::CheckoutReport(body) => few("paths", &body.paths, PATHS_MAX),
            Verb::TaskAdd(body) => add(body),
            Verb::TaskBid(body) => bid(body),
            Verb::TaskStart(body) => object_name("base_commit", body.base_commit.as_ref()),
            Verb::TaskProgress(body) => progress(body),
            Verb::TaskVerified(body) => verified(body),
            Verb::TaskComplete(body) => {
                body.message.as_ref().map_or(Ok(()), |m| free_text("message", m))
            }
            Verb::TaskFail(body) => {
                named("class", &body.class).and(free_text("message", &body.message))
            }
            Verb::TaskAbandon(body) => line("reason", &body.reason),
            Verb::TaskPause(body)
            | Verb::TaskResume(body)
            | Verb::TaskCancel(body)
            | Verb::TaskRetry(body)
            | Verb::TaskRevert(body) => maybe("reason", body.reason.as_ref()),
            Verb::TaskEdit(body) => edit(body),
            Verb::TaskSay(body) => free_text("text", &body.text),
            Verb::TaskAsk(body) => ask(body),
            Verb::TaskAnswer(body) => free_text("answer", &body.answer),
            Verb::TaskReview(body) => {
                object_name("tree", body.tree.as_ref())?;
                body.comments.as_ref().map_or(Ok(()), |c| free_text("comments", c))
            }
            Verb::LandBegin(body) => object_name("tree", Some(&body.tree)),
            Verb::LandEnd(body) => land_end(body),
            Verb::LockAcquire(body) => acquire(body),
            Verb::LockRelease(body) => release(body),
            Verb::LockRenew(body) => few("leases", &body.leases, PATHS_MAX),
            Verb::LockConvert(_) | Verb::Internal(_) => Ok(()),
            Verb::LockBreak(body) => named("reason", &body.reason),
            Verb::FrameworkPublish(body) => publish(body),
            Verb::NoteShare(body) => note(body),
            Verb::SettingSet(body) => named("key", &body.key),
            Verb::MeshPause(body) => maybe("reason", body.reason.as_ref()),
            Verb::MeshResume(body) => maybe("reason", body.reason.as_ref()),
        }
    }

    /// The free texts it carries. They are stored beside the log before the record that names
    /// them by digest, so that their bytes can be forgotten.
    pub fn texts(&self) -> Vec<&str> {
        match &self.verb {
            Verb::TaskAdd(body) => body.prompt.as_deref().into_iter().collect(),
            Verb::TaskEdit(body) => body.prompt.as_deref().into_iter().collect(),
            Verb::TaskSay(body) => vec![&body.text],
            // The default becomes the answer when none comes.
            Verb::TaskAsk(body) => {
                [Some(&*body.question), body.default.as_deref()].into_iter().flatten().collect()
            }
            Verb::TaskAnswer(body) => vec![&body.answer],
            Verb::TaskReview(body) => body.comments.as_deref().into_iter().collect(),
            Verb::TaskComplete(body) => body.message.as_deref().into_iter().collect(),
            Verb::TaskFail(body) => vec![&body.message],
            Verb::FrameworkPublish(body) => {
                let prompts = body.graph.iter().filter_map(|task| task.prompt.as_deref());
                std::iter::once(&*body.text).chain(prompts).collect()
            }
            Verb::NoteShare(body) => vec![&body.value],
            _ => Vec::new(),
        }
    }
}

fn join(body: &agent::Join) -> Checked {
    names("tool", TOOL, [&body.tool])?;
    maybe("model", body.model.as_ref())?;
    few("capabilities", &body.capabilities, LIST_MAX)?;
    names("capabilities", CAPABILITY, &body.capabilities)?;
    few("repos", &body.repos, LIST_MAX)?;
    few("for", &body.for_persons, LIST_MAX)?;
    needs(&body.needs)
}

/// What is reserved on a host is a sum over agents, so each of them is bounded.
fn needs(needs: &agent::Needs) -> Checked {
    let more = [
        ("needs.ram_mb", needs.ram_mb, NEEDS_MB_MAX),
        ("needs.vram_mb", needs.vram_mb, NEEDS_MB_MAX),
        ("needs.slots", needs.slots.into(), NEEDS_SLOTS_MAX.into()),
    ];
    let Some((field, has, max)) = more.into_iter().find(|(_, has, max)| has > max) else {
        return Ok(());
    };
    let text = format!("{field} is {has}; at most {max} are taken");
    Err(Rejection::new(Code::LimitExceeded, text).with_field(field))
}

fn repo(body: &mesh::RepoAdd) -> Checked {
    if body.url.is_none() && body.path.is_none() {
        return Err(Rejection::bad_field("path", "a repository needs a url or a path"));
    }
    if body.host.is_some() && body.path.is_none() {
        return Err(Rejection::bad_field("host", "it says where the path is, and none is given"));
    }
    for (field, text) in [("url", &body.url), ("path", &body.path)] {
        let Some(text) = text else { continue };
        if text.len() > 4096 {
            return Err(over(field, text.len(), "bytes", 4096));
        }
        if text.is_empty() || text.starts_with('-') || text.chars().any(char::is_control) {
            return Err(Rejection::bad_field(field, "a plain url or path is expected"));
        }
    }
    lines("hot", body.hot.as_deref().unwrap_or_default())?;
    branch("base", body.base.as_ref())?;
    branch("target", body.target.as_ref())?;
    shell("verify", &body.verify)?;
    shell("setup", body.setup.as_slice())
}

fn add(body: &task::Add) -> Checked {
    named("title", &body.title)?;
    body.prompt.as_ref().map_or(Ok(()), |text| free_text("prompt", text))?;
    branch("base", body.base.as_ref())?;
    few("paths", &body.paths, PATHS_MAX)?;
    priority(body.priority)?;
    few("depends_on", &body.depends_on, LIST_MAX)?;
    few("needs", &body.needs, LIST_MAX)?;
    names("needs", CAPABILITY, &body.needs)?;
    names("tool", TOOL, &body.tool)?;
    maybe("key", body.key.as_ref())?;
    shell("verify", &body.verify)?;
    few("backup_tools", &body.backup_tools, LIST_MAX)?;
    names("backup_tools", TOOL, &body.backup_tools)?;
    let attempts_max = crate::limits::ATTEMPTS_MAX;
    if body.max_attempts.is_some_and(|n| n == 0 || n > attempts_max) {
        let text = format!("a number from 1 to {attempts_max} is expected");
        return Err(Rejection::bad_field("max_attempts", text));
    }
    if body.max_wall_s.is_some_and(|s| s == 0 || s > 7 * 86_400) {
        return Err(Rejection::bad_field("max_wall_s", "1 to 604800 seconds are expected"));
    }
    if body.kind == task::Kind::Plan { plans(body) } else { Ok(()) }
}

/// What plans touches no files; only people look at a plan.
fn plans(body: &task::Add) -> Checked {
    let refuse = |field: &str, text: &str| Err(Rejection::bad_field(field, text));
    if !body.paths.is_empty() {
        return refuse("paths", "a plan touches no files; its tasks say which they do");
    }
    if body.review == task::ReviewBy::Agent {
        return refuse("review", "a plan is looked at by a person, or by nobody");
    }
    Ok(())
}

/// What belongs to the attempt of a planning task is given as a whole or not at all.
fn publish(body: &mesh::FrameworkPublish) -> Checked {
    free_text("text", &body.text)?;
    let given = [body.task.is_some(), body.attempt.is_some(), body.token.is_some()];
    if given.contains(&true) && given.contains(&false) {
        let text = "a plan is published with task, attempt and token, or with none of them";
        return Err(Rejection::bad_field("task", text));
    }
    if body.graph.is_empty() && body.task.is_none() {
        return Ok(());
    }
    plan::check(&body.text, &body.graph).map_err(|bad| bad.rejection())
}

fn priority(priority: Option<u8>) -> Checked {
    match priority {
        Some(5..) => Err(Rejection::bad_field("priority", "0 (urgent) to 4 (idle) is expected")),
        _ => Ok(()),
    }
}

fn edit(body: &task::Edit) -> Checked {
    body.title.as_ref().map_or(Ok(()), |text| named("title", text))?;
    body.prompt.as_ref().map_or(Ok(()), |text| free_text("prompt", text))?;
    few("paths", body.paths.as_deref().unwrap_or_default(), PATHS_MAX)?;
    priority(body.priority)?;
    few("depends_on", body.depends_on.as_deref().unwrap_or_default(), LIST_MAX)?;
    maybe("reason", body.reason.as_ref())
}

fn bid(body: &task::Bid) -> Checked {
    maybe("declined", body.declined.as_ref())?;
    if body.score.len() > LIST_MAX {
        return Err(over("score", body.score.len(), "terms", LIST_MAX));
    }
    for (term, score) in &body.score {
        named("score", term)?;
        if !(-1_000..=1_000).contains(score) {
            let field = format!("score.{term}");
            return Err(Rejection::bad_field(&field, "an integer from -1000 to 1000 is expected"));
        }
    }
    Ok(())
}

fn progress(body: &task::Progress) -> Checked {
    maybe("message", body.message.as_ref())?;
    maybe("tool_session", body.tool_session.as_ref())?;
    object_name("saved", body.saved.as_ref())
}

fn receipt(receipt: &task::Receipt) -> Checked {
    object_name("receipt.tree", Some(&receipt.tree))?;
    few("receipt.steps", &receipt.steps, LIST_MAX)?;
    line("receipt.host", &receipt.host)?;
    if !receipt.merged.is_empty() {
        let text = "what was merged with others' changes is found out by the mesh";
        return Err(Rejection::bad_field("receipt.merged", text));
    }
    few("receipt.guarded", &receipt.guarded, PATHS_MAX)?;
    receipt.guarded.iter().try_for_each(|path| line("receipt.guarded", path))?;
    receipt.steps.iter().try_for_each(|step| {
        named("receipt.steps.name", &step.name)?;
        shell("receipt.steps.command", std::slice::from_ref(&step.command))
    })
}

fn verified(body: &task::Verified) -> Checked {
    receipt(&body.receipt)?;
    object_name("commit", body.commit.as_ref())?;
    maybe("class", body.class.as_ref())?;
    change(body.change.as_ref())
}

fn change(change: Option<&task::Change>) -> Checked {
    let Some(change) = change else { return Ok(()) };
    few("change.edits", &change.edits, task::EDITS_MAX)?;
    let bytes: usize = change.edits.iter().map(|edit| edit.path.key().len()).sum();
    if bytes > task::EDITS_BYTES_MAX {
        return Err(over("change.edits", bytes, "bytes of paths", task::EDITS_BYTES_MAX));
    }
    for edit in &change.edits {
        object_name("change.edits.base", edit.base.as_ref())?;
        object_name("change.edits.now", edit.now.as_ref())?;
        let octal = |mode: &String| mode.len() == 6 && mode.bytes().all(|c| c.is_ascii_digit());
        if !edit.mode.as_ref().is_none_or(octal) {
            return Err(Rejection::bad_field("change.edits.mode", "six digits are expected"));
        }
    }
    Ok(())
}

fn land_end(body: &task::LandEnd) -> Checked {
    for (field, name) in [("commit", &body.commit), ("tree", &body.tree), ("from", &body.from)] {
        object_name(field, name.as_ref())?;
    }
    if body.outcome == task::LandOutcome::Landed && (body.commit.is_none() || body.tree.is_none()) {
        return Err(Rejection::bad_field("commit", "what landed is named by commit and tree"));
    }
    body.receipt.as_ref().map_or(Ok(()), receipt)?;
    change(body.change.as_ref())?;
    few("found", &body.found, LIST_MAX)?;
    for found in &body.found {
        object_name("found.commit", Some(&found.commit))?;
        object_name("found.tree", Some(&found.tree))?;
    }
    few("paths", &body.paths, PATHS_MAX)?;
    body.paths.iter().try_for_each(|path| line("paths", path))?;
    maybe("message", body.message.as_ref())
}

fn ask(body: &task::Ask) -> Checked {
    free_text("question", &body.question)?;
    lines("options", &body.options)?;
    maybe("default", body.default.as_ref())
}

fn acquire(body: &lock::Acquire) -> Checked {
    if body.paths.is_empty() {
        return Err(Rejection::bad_field("paths", "at least one path is expected"));
    }
    few("paths", &body.paths, PATHS_MAX)?;
    maybe("reason", body.reason.as_ref())
}

fn release(body: &lock::Release) -> Checked {
    let given = usize::from(!body.leases.is_empty())
        + usize::from(!body.paths.is_empty())
        + usize::from(body.task.is_some())
        + usize::from(!body.ids.is_empty());
    if given != 1 {
        let text = "exactly one of leases, paths, task and ids is expected";
        return Err(Rejection::bad_field("leases", text));
    }
    few("leases", &body.leases, PATHS_MAX)?;
    few("paths", &body.paths, PATHS_MAX)?;
    few("ids", &body.ids, PATHS_MAX)
}

fn note(body: &mesh::NoteShare) -> Checked {
    named("key", &body.key)?;
    free_text("value", &body.value)?;
    few("paths", &body.paths, PATHS_MAX)?;
    match body.confidence {
        Some(101..) => Err(Rejection::bad_field("confidence", "0 to 100 is expected")),
        _ => Ok(()),
    }
}
