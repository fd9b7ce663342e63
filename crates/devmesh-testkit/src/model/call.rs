//! Turns a step of a script into a call of a tool that the client really offers.

use serde_json::{Map, Value, json};

use super::request::{Request, Tool, ToolKind};
use super::script::{Call as NamedCall, Edit, Mcp, Read, Step, Write};

#[cfg(test)]
mod tests;

/// A call of one of the client's tools.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The tool's name.
    pub name: String,
    /// The namespace it stands in.
    pub namespace: Option<String>,
    /// How it takes its arguments.
    pub kind: ToolKind,
    /// An object, or a string for a freeform tool.
    pub args: Value,
}

const WRITE: &[&str] =
    &["Write", "write_file", "write", "create", "create_file", "create_new_file"];
const EDIT: &[&str] = &["Edit", "replace", "edit", "str_replace", "edit_file"];
const READ: &[&str] = &["Read", "read_file", "read", "view"];
const SHELL: &[&str] =
    &["exec_command", "shell_command", "shell", "local_shell", "Bash", "bash", "run_shell_command"];
const PATCH: &str = "apply_patch";
/// The one tool of codex's "code mode": JavaScript that calls the others.
const SCRIPT: &str = "exec";

/// Whether a client that offers the tool of this name is at work; one that offers none of these
/// asks something beside it.
pub(super) fn is_for_work(name: &str) -> bool {
    [WRITE, EDIT, READ, SHELL, &[PATCH, SCRIPT]].iter().any(|names| names.contains(&name))
}

/// The steps as this client must take them: one that edits a file may have to read it first.
pub fn expand(request: &Request, steps: &[Step]) -> Vec<Step> {
    let must_read = request.tool(EDIT).is_some() && request.tool(READ).is_some();
    let mut known: Vec<&str> = Vec::new();
    let mut out = Vec::new();
    for step in steps {
        let (path, needs_read) = match step {
            Step::Write(write) => (write.path.as_str(), write.existing),
            Step::Edit(edit) => (edit.path.as_str(), true),
            Step::Read(read) => (read.path.as_str(), false),
            Step::Shell(_) | Step::Say(_) | Step::Mcp(_) | Step::Call(_) => {
                out.push(step.clone());
                continue;
            }
        };
        if must_read && needs_read && !known.contains(&path) {
            out.push(Step::Read(Read { path: path.to_owned() }));
        }
        known.push(path);
        out.push(step.clone());
    }
    out
}

/// The call that carries out a step; none when the client offers nothing that fits.
pub fn plan(request: &Request, step: &Step) -> Option<Call> {
    match step {
        Step::Write(write) => plan_write(request, write),
        Step::Edit(edit) => plan_edit(request, edit),
        Step::Read(read) => plan_read(request, read),
        Step::Shell(command) => plan_shell(request, command),
        Step::Mcp(mcp) => plan_mcp(request, mcp),
        Step::Call(call) => plan_named(request, call),
        Step::Say(_) => None,
    }
}

fn plan_write(request: &Request, write: &Write) -> Option<Call> {
    if let Some(tool) = request.tool(WRITE) {
        let path = absolute(request, &write.path);
        return Some(fill(tool, &[("path", &path), ("content", &write.content)]));
    }
    plan_patch(request, &patch_add(write)).or_else(|| {
        let (content, path) = (quote(&write.content), quote(&write.path));
        plan_shell(request, &format!("printf %s {content} > {path}"))
    })
}

fn plan_edit(request: &Request, edit: &Edit) -> Option<Call> {
    if let Some(tool) = request.tool(EDIT) {
        let path = absolute(request, &edit.path);
        return Some(fill(tool, &[("path", &path), ("old", &edit.old), ("new", &edit.new)]));
    }
    plan_patch(request, &patch_update(edit)).or_else(|| plan_shell(request, &shell_replace(edit)))
}

fn plan_read(request: &Request, read: &Read) -> Option<Call> {
    match request.tool(READ) {
        Some(tool) => Some(fill(tool, &[("path", &absolute(request, &read.path))])),
        None => plan_shell(request, &format!("cat {}", quote(&read.path))),
    }
}

fn plan_patch(request: &Request, patch: &str) -> Option<Call> {
    if let Some(tool) = request.tool(&[PATCH]) {
        return Some(match tool.kind {
            ToolKind::Freeform => call(tool, Value::from(patch)),
            _ => fill(tool, &[("patch", patch)]),
        });
    }
    let tool = code_mode(request)?;
    Some(call(tool, javascript("apply_patch", &Value::from(patch))))
}

fn plan_shell(request: &Request, command: &str) -> Option<Call> {
    if let Some(tool) = request.tool(SHELL) {
        let mut shell = fill(tool, &[("command", command)]);
        if tool.schema.pointer("/properties/yield_time_ms").is_some() {
            // Otherwise a command of some seconds goes to the background half done.
            shell.args["yield_time_ms"] = json!(30_000);
        }
        return Some(shell);
    }
    let tool = code_mode(request)?;
    let args = json!({ "cmd": command, "yield_time_ms": 30_000 });
    Some(call(tool, javascript("exec_command", &args)))
}

fn plan_mcp(request: &Request, mcp: &Mcp) -> Option<Call> {
    let args = if mcp.args.is_null() { json!({}) } else { mcp.args.clone() };
    let (server, name) = (&mcp.server, &mcp.tool);
    let full = format!("mcp__{server}__{name}");
    // As claude and codex, gemini, opencode and copilot join the two.
    let joined = [
        full.clone(),
        format!("mcp_{server}_{name}"),
        format!("{server}__{name}"),
        format!("{server}_{name}"),
        format!("{server}-{name}"),
    ];
    let space = format!("mcp__{}", mcp.server);
    let offered = request.tools.iter().find(|tool| {
        joined.contains(&tool.name)
            || (tool.name == mcp.tool && tool.namespace.as_deref() == Some(&space))
    });
    if let Some(tool) = offered {
        return Some(call(tool, args));
    }
    if let Some(tool) = code_mode(request) {
        return Some(call(tool, javascript(&full, &args)));
    }
    if request.searched() {
        let (namespace, kind) = (None, ToolKind::Function);
        return Some(Call { name: full, namespace, kind, args });
    }
    if let Some(tool) = request.tools.iter().find(|tool| tool.kind == ToolKind::Search) {
        let query = format!("{} {}", mcp.server, mcp.tool);
        return Some(call(tool, json!({ "query": query, "limit": 8 })));
    }
    if let Some(tool) = request.tool(&["ToolSearch"]) {
        return Some(call(tool, json!({ "query": format!("select:{full}"), "max_results": 5 })));
    }
    // The rest offer it by its own name.
    Some(call(request.tool(&[name.as_str()])?, args))
}

fn plan_named(request: &Request, named: &NamedCall) -> Option<Call> {
    let tool = request.tool(&[named.tool.as_str()])?;
    let args = if named.args.is_null() { json!({}) } else { named.args.clone() };
    Some(call(tool, args))
}

fn call(tool: &Tool, args: Value) -> Call {
    Call { name: tool.name.clone(), namespace: tool.namespace.clone(), kind: tool.kind, args }
}

fn code_mode(request: &Request) -> Option<&Tool> {
    request.tool(&[SCRIPT]).filter(|tool| tool.kind == ToolKind::Freeform)
}

fn javascript(function: &str, argument: &Value) -> Value {
    // JSON is a JavaScript expression, so the argument needs no other quoting.
    let body = format!("const out = await tools.{function}({argument});");
    Value::from(format!("{body}\ntext(JSON.stringify(out ?? null));"))
}

/// Puts values under the names that the tool's schema uses, and something harmless under
/// whatever else it requires.
fn fill(tool: &Tool, values: &[(&str, &str)]) -> Call {
    let none = Map::new();
    let properties = tool.schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
    let mut args = Map::new();
    for (meaning, value) in values {
        let name = spellings(meaning).iter().find(|name| properties.contains_key(**name));
        let name = name.copied().unwrap_or(meaning);
        let is_list = properties.get(name).is_some_and(|schema| schema["type"] == "array");
        let value = if is_list { json!(["bash", "-lc", value]) } else { json!(value) };
        args.insert(name.to_owned(), value);
    }
    let required = tool.schema.get("required").and_then(Value::as_array);
    for name in required.into_iter().flatten().filter_map(Value::as_str) {
        if !args.contains_key(name) {
            let schema = properties.get(name).unwrap_or(&Value::Null);
            args.insert(name.to_owned(), example(schema));
        }
    }
    call(tool, Value::Object(args))
}

fn spellings(meaning: &str) -> &'static [&'static str] {
    match meaning {
        "path" => &["file_path", "filePath", "filepath", "path", "absolute_path", "target_file"],
        "content" => &["content", "contents", "file_text", "text"],
        "old" => &["old_string", "oldString", "old_str"],
        "new" => &["new_string", "newString", "new_str"],
        "command" => &["command", "cmd", "script"],
        "patch" => &["input", "patch"],
        _ => &[],
    }
}

/// The smallest value that a schema takes.
pub fn example(schema: &Value) -> Value {
    if let Some(first) = schema.pointer("/enum/0").or_else(|| schema.get("const")) {
        return first.clone();
    }
    for choice in ["/anyOf/0", "/oneOf/0"] {
        if let Some(first) = schema.pointer(choice) {
            return example(first);
        }
    }
    let kind = schema.pointer("/type/0").or_else(|| schema.get("type")).and_then(Value::as_str);
    // Gemini's older schemas shout.
    let kind = kind.map(str::to_ascii_lowercase);
    match (kind.as_deref(), schema.get("properties").and_then(Value::as_object)) {
        (Some("object") | None, Some(properties)) => properties
            .iter()
            .map(|(name, schema)| (name.clone(), example(schema)))
            .collect::<Map<_, _>>()
            .into(),
        (Some("object"), None) => json!({}),
        (Some("array"), _) => json!([]),
        (Some("number" | "integer"), _) => json!(1),
        (Some("boolean"), _) => json!(false),
        (Some("null"), _) => Value::Null,
        _ => json!("scripted"),
    }
}

fn absolute(request: &Request, path: &str) -> String {
    match request.cwd() {
        Some(cwd) if !path.starts_with('/') => format!("{}/{path}", cwd.trim_end_matches('/')),
        _ => path.to_owned(),
    }
}

fn patch_add(write: &Write) -> String {
    let mut patch = format!("*** Begin Patch\n*** Add File: {}\n", write.path);
    for line in write.content.lines() {
        patch.push_str(&format!("+{line}\n"));
    }
    patch + "*** End Patch"
}

fn patch_update(edit: &Edit) -> String {
    let mut patch = format!("*** Begin Patch\n*** Update File: {}\n@@\n", edit.path);
    for (sign, text) in [('-', &edit.old), ('+', &edit.new)] {
        for line in text.lines() {
            patch.push_str(&format!("{sign}{line}\n"));
        }
    }
    patch + "*** End Patch"
}

/// A literal replacement that needs no more than a POSIX awk: `\001` never stands in a text.
fn shell_replace(edit: &Edit) -> String {
    let (old, new, path) = (quote(&edit.old), quote(&edit.new), quote(&edit.path));
    let program = "BEGIN{RS=\"\\001\";o=ENVIRON[\"OLD\"];n=ENVIRON[\"NEW\"]}\
        {i=index($0,o);if(!i)exit 3;printf \"%s%s%s\",substr($0,1,i-1),n,substr($0,i+length(o))}";
    // The x keeps the newlines at the end, which a command substitution would drop.
    format!(
        "made=$(OLD={old} NEW={new} awk '{program}' {path} && printf x) \
         && printf %s \"${{made%x}}\" > {path}"
    )
}

/// Quotes a text for a POSIX shell.
pub fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
