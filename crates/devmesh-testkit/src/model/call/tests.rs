//! Which tool a step becomes, for the sets of tools that real clients offer.

use std::process::Command;

use super::*;

fn tool(name: &str, kind: ToolKind, properties: &[&str], required: &[&str]) -> Tool {
    let fields: Map<String, Value> =
        properties.iter().map(|name| ((*name).to_owned(), json!({ "type": "string" }))).collect();
    let schema = json!({ "type": "object", "properties": fields, "required": required });
    Tool { name: name.to_owned(), namespace: None, kind, schema }
}

fn claude() -> Request {
    let function = ToolKind::Function;
    let tools = vec![
        tool("Bash", function, &["command", "description", "timeout"], &["command"]),
        tool("Edit", function, &["file_path", "new_string", "old_string"], &["file_path"]),
        tool("Read", function, &["file_path"], &["file_path"]),
        tool("ToolSearch", function, &["query", "max_results"], &["query", "max_results"]),
        tool("Write", function, &["file_path", "content"], &["file_path", "content"]),
    ];
    let system = " - Primary working directory: /r\n".to_owned();
    Request { tools, system, ..Request::default() }
}

fn codex_functions() -> Request {
    let tools = vec![
        tool("exec_command", ToolKind::Function, &["cmd", "yield_time_ms"], &["cmd"]),
        tool("apply_patch", ToolKind::Freeform, &[], &[]),
        tool("tool_search", ToolKind::Search, &["query", "limit"], &["query"]),
    ];
    Request { tools, ..Request::default() }
}

fn codex_code_mode() -> Request {
    let mut exec = tool("exec", ToolKind::Freeform, &[], &[]);
    exec.namespace = Some("functions".to_owned());
    Request { tools: vec![exec], ..Request::default() }
}

fn codex_shell_only() -> Request {
    let tools = vec![tool("exec_command", ToolKind::Function, &["cmd"], &["cmd"])];
    Request { tools, ..Request::default() }
}

fn write(path: &str, content: &str) -> Step {
    Step::Write(Write { path: path.to_owned(), content: content.to_owned(), existing: false })
}

fn edit(path: &str, old: &str, new: &str) -> Step {
    Step::Edit(Edit { path: path.to_owned(), old: old.to_owned(), new: new.to_owned() })
}

fn check(request: &Request, step: &Step, name: &str, args: &Value) {
    let call = plan(request, step).unwrap();
    assert_eq!((call.name.as_str(), &call.args), (name, args));
}

#[test]
fn claude_writes_edits_reads_and_runs() {
    let request = claude();
    let file = json!({ "file_path": "/r/a.txt", "content": "x\n" });
    check(&request, &write("a.txt", "x\n"), "Write", &file);
    let change = json!({ "file_path": "/abs", "old_string": "x", "new_string": "y" });
    check(&request, &edit("/abs", "x", "y"), "Edit", &change);
    check(&request, &Step::Shell("ls".to_owned()), "Bash", &json!({ "command": "ls" }));
}

#[test]
fn codex_patches_and_runs() {
    let request = codex_functions();
    let patch = json!("*** Begin Patch\n*** Add File: a.txt\n+x\n+\n+y\n*** End Patch");
    check(&request, &write("a.txt", "x\n\ny\n"), "apply_patch", &patch);
    let patch = json!("*** Begin Patch\n*** Update File: a\n@@\n-x\n+y\n+z\n*** End Patch");
    check(&request, &edit("a", "x", "y\nz"), "apply_patch", &patch);
    let run = json!({ "cmd": "ls", "yield_time_ms": 30_000 });
    check(&request, &Step::Shell("ls".to_owned()), "exec_command", &run);
}

#[test]
fn code_mode_calls_through_javascript() {
    let call = plan(&codex_code_mode(), &Step::Shell("echo \"a\"\n".to_owned())).unwrap();
    assert_eq!((call.name.as_str(), call.kind), ("exec", ToolKind::Freeform));
    let body = call.args.as_str().unwrap();
    assert!(body.contains("await tools.exec_command({\"cmd\":\"echo \\\"a\\\"\\n\""), "{body}");
    let call = plan(&codex_code_mode(), &write("a", "x\n")).unwrap();
    let body = call.args.as_str().unwrap();
    assert!(body.contains("tools.apply_patch(\"*** Begin Patch\\n*** Add File: a\\n"), "{body}");
}

#[test]
fn without_an_editing_tool_the_shell_edits_exactly_the_text() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("it's.txt");
    let path = path.to_str().unwrap();
    let old = "a.*[b] '$c' \\n";
    let run = |step: &Step| {
        let call = plan(&codex_shell_only(), step).unwrap();
        let command = call.args["cmd"].as_str().unwrap().to_owned();
        Command::new("sh").args(["-c", &command]).status().unwrap().success()
    };
    assert!(run(&write(path, &format!("first\n{old}\nlast\n"))));
    assert!(run(&edit(path, old, "new & \"shiny\"\nlines")));
    let text = std::fs::read_to_string(path).unwrap();
    assert_eq!(text, "first\nnew & \"shiny\"\nlines\nlast\n");
    assert!(!run(&edit(path, "not there", "x")));
    assert_eq!(std::fs::read_to_string(path).unwrap(), text);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_client_that_insists_on_reading_first_may() {
    let steps = [write("a", "x"), edit("a", "x", "y"), edit("b", "x", "y"), edit("b", "y", "z")];
    let read = |path: &str| Step::Read(Read { path: path.to_owned() });
    let [first, second, third, fourth] = steps.clone();
    assert_eq!(expand(&claude(), &steps), [first, second, read("b"), third, fourth]);
    assert_eq!(expand(&codex_functions(), &steps), steps);
    let Step::Write(old) = write("a", "x") else { panic!("a write was made") };
    let old = Step::Write(Write { existing: true, ..old });
    assert_eq!(expand(&claude(), std::slice::from_ref(&old)), [read("a"), old]);
}

#[test]
fn a_deferred_tool_is_searched_for_once_and_then_called() {
    let step = Step::Mcp(Mcp {
        server: "mesh".to_owned(),
        tool: "lock".to_owned(),
        args: json!({ "path": "a" }),
    });
    let mut request = claude();
    let query = json!({ "query": "select:mcp__mesh__lock", "max_results": 5 });
    check(&request, &step, "ToolSearch", &query);
    request.items.push(super::super::request::Item::Search);
    check(&request, &step, "mcp__mesh__lock", &json!({ "path": "a" }));

    let mut request = codex_functions();
    check(&request, &step, "tool_search", &json!({ "query": "mesh lock", "limit": 8 }));
    let mut found = tool("lock", ToolKind::Function, &["path"], &[]);
    found.namespace = Some("mcp__mesh".to_owned());
    request.tools.push(found);
    let call = plan(&request, &step).unwrap();
    assert_eq!((call.name.as_str(), call.namespace.as_deref()), ("lock", Some("mcp__mesh")));

    let body = plan(&codex_code_mode(), &step).unwrap().args;
    assert!(body.as_str().unwrap().contains("tools.mcp__mesh__lock({\"path\":\"a\"})"));
}

#[test]
fn a_server_s_tool_is_found_under_the_name_that_each_client_gives_it() {
    let step = Step::Mcp(Mcp { server: "mesh".into(), tool: "lock".into(), args: Value::Null });
    for name in ["mcp_mesh_lock", "mesh__lock", "mesh_lock", "mesh-lock", "lock"] {
        let own = tool("unlock", ToolKind::Function, &[], &[]);
        let offered = tool(name, ToolKind::Function, &["path"], &[]);
        let request = Request { tools: vec![own, offered], ..Request::default() };
        check(&request, &step, name, &json!({}));
    }
}

#[test]
fn nothing_is_called_that_is_not_offered() {
    let request = Request::default();
    assert_eq!(plan(&request, &write("a", "x")), None);
    let named = NamedCall { tool: "Nope".to_owned(), args: Value::Null };
    assert_eq!(plan(&claude(), &Step::Call(named)), None);
}

#[test]
fn required_fields_get_something_harmless() {
    let schema = json!({
        "properties": {
            "file_path": { "type": "string" }, "content": { "type": "string" },
            "mode": { "enum": ["a", "b"] }, "n": { "type": ["integer", "null"] },
            "list": { "type": "array" },
        },
        "required": ["file_path", "content", "mode", "n", "list"],
    });
    let tool = Tool { name: "Write".to_owned(), namespace: None, kind: ToolKind::Function, schema };
    let request = Request { tools: vec![tool], ..Request::default() };
    let args = json!({ "file_path": "/a", "content": "x", "mode": "a", "n": 1, "list": [] });
    check(&request, &write("/a", "x"), "Write", &args);
}
