//! The OpenAI Responses dialect, with the tool kinds that codex needs.

use serde_json::{Value, json};

use super::answer::Answer;
use super::call::Call;
use super::dialect::{Event, Ids};
use super::request::{Item, Request, Tool, ToolKind, text_of, texts_of};
use super::script::Fault;

#[cfg(test)]
mod tests;

/// Reads a request.
pub fn parse(body: &Value) -> Request {
    let mut request = Request {
        model: body["model"].as_str().unwrap_or("scripted").to_owned(),
        stream: body["stream"].as_bool().unwrap_or(false),
        system: body["instructions"].as_str().unwrap_or_default().to_owned(),
        ..Request::default()
    };
    match &body["input"] {
        Value::String(text) => request.items.push(Item::user([text.as_str()])),
        Value::Array(items) => items.iter().for_each(|item| read_item(&mut request, item)),
        _ => {}
    }
    read_tools(&mut request, &body["tools"], None);
    let format = &body["text"]["format"];
    if format["type"] == "json_schema" {
        request.schema = Some(format["schema"].clone());
    }
    request
}

fn read_item(request: &mut Request, item: &Value) {
    let kind = item["type"].as_str().unwrap_or("message");
    match (kind, item["role"].as_str()) {
        ("message", Some("system" | "developer")) => {
            request.system.push('\n');
            request.system.push_str(&text_of(&item["content"]));
        }
        ("message", Some("user")) => request.items.push(Item::user(texts_of(&item["content"]))),
        ("tool_search_output", _) => {
            request.items.push(Item::Search);
            read_tools(request, &item["tools"], None);
        }
        ("additional_tools", _) => read_tools(request, &item["tools"], None),
        (kind, _) if kind.ends_with("_output") => {
            request.items.push(Item::Result(text_of(&item["output"])));
        }
        _ => {}
    }
}

fn read_tools(request: &mut Request, tools: &Value, namespace: Option<&str>) {
    for tool in tools.as_array().into_iter().flatten() {
        let kind = tool["type"].as_str().unwrap_or("function");
        if kind == "namespace" {
            read_tools(request, &tool["tools"], tool["name"].as_str());
            continue;
        }
        request.tools.push(Tool {
            name: tool["name"].as_str().unwrap_or(kind).to_owned(),
            namespace: namespace.map(str::to_owned),
            kind: match kind {
                "function" => ToolKind::Function,
                "custom" => ToolKind::Freeform,
                "tool_search" => ToolKind::Search,
                "local_shell" => ToolKind::LocalShell,
                _ => ToolKind::Hosted,
            },
            schema: tool["parameters"].clone(),
        });
    }
}

/// The whole answer as one JSON object.
pub fn render(request: &Request, answer: &Answer, ids: &Ids) -> Value {
    let mut response = frame(request, ids, "completed");
    let usage = answer.usage;
    response["output"] = Value::from(items(answer, ids));
    response["usage"] = json!({
        "input_tokens": usage.input,
        "input_tokens_details": { "cached_tokens": usage.cached },
        "output_tokens": usage.output,
        "output_tokens_details": { "reasoning_tokens": usage.reasoning },
        "total_tokens": usage.input + usage.output,
    });
    response
}

/// The answer as a stream of events.
pub fn events(request: &Request, answer: &Answer, ids: &Ids) -> Vec<Event> {
    let mut out = opening(request, ids);
    for (index, item) in items(answer, ids).iter().enumerate() {
        item_events(&mut out, index, item);
    }
    let whole = render(request, answer, ids);
    push(&mut out, json!({ "type": "response.completed", "response": whole }));
    out
}

/// How every stream begins.
pub fn opening(request: &Request, ids: &Ids) -> Vec<Event> {
    let mut out = Vec::new();
    let begun = frame(request, ids, "in_progress");
    push(&mut out, json!({ "type": "response.created", "response": begun }));
    push(&mut out, json!({ "type": "response.in_progress", "response": begun }));
    out
}

fn frame(request: &Request, ids: &Ids, status: &str) -> Value {
    json!({
        "id": ids.of("resp"), "object": "response", "created_at": ids.created,
        "status": status, "model": request.model, "output": [], "tools": [],
        "tool_choice": "auto", "parallel_tool_calls": false,
    })
}

fn items(answer: &Answer, ids: &Ids) -> Vec<Value> {
    let mut items = Vec::new();
    if !answer.text.is_empty() || answer.call.is_none() {
        items.push(json!({
            "type": "message", "id": ids.of("msg"), "role": "assistant", "status": "completed",
            "content": [{ "type": "output_text", "text": answer.text, "annotations": [] }],
        }));
    }
    items.extend(answer.call.as_ref().map(|call| call_item(call, ids)));
    items
}

fn call_item(call: &Call, ids: &Ids) -> Value {
    let mut item = match call.kind {
        ToolKind::Freeform => json!({
            "type": "custom_tool_call", "id": ids.of("ctc"), "name": call.name,
            "input": call.args.as_str().map_or_else(|| call.args.to_string(), str::to_owned),
        }),
        ToolKind::Search => json!({
            "type": "tool_search_call", "id": ids.of("tsc"), "execution": "client",
            "arguments": call.args,
        }),
        ToolKind::LocalShell => json!({
            "type": "local_shell_call", "id": ids.of("lsh"), "action": {
                "type": "exec", "env": {}, "command": ["bash", "-lc", call.args["command"]],
            },
        }),
        ToolKind::Function | ToolKind::Hosted => json!({
            "type": "function_call", "id": ids.of("fc"), "name": call.name,
            "arguments": call.args.to_string(),
        }),
    };
    item["call_id"] = json!(ids.of("call"));
    item["status"] = json!("completed");
    if let (Some(namespace), ToolKind::Function) = (&call.namespace, call.kind) {
        item["namespace"] = json!(namespace);
    }
    item
}

/// The events of one item: added empty, filled, done.
fn item_events(out: &mut Vec<Event>, index: usize, item: &Value) {
    let kind = item["type"].as_str().unwrap_or_default();
    let mut begun = item.clone();
    begun["status"] = json!("in_progress");
    let filled = match kind {
        "message" => Some(("content", json!([]))),
        "function_call" => Some(("arguments", json!(""))),
        "custom_tool_call" => Some(("input", json!(""))),
        _ => None,
    };
    if let Some((field, empty)) = &filled {
        begun[field] = empty.clone();
    }
    let at = |kind: &str| json!({ "type": kind, "output_index": index });
    push(out, with(at("response.output_item.added"), "item", begun));
    match kind {
        "message" => text_events(out, index, item),
        "function_call" => {
            field_events(out, index, item, "arguments", "response.function_call_arguments");
        }
        "custom_tool_call" => {
            field_events(out, index, item, "input", "response.custom_tool_call_input");
        }
        _ => {}
    }
    push(out, with(at("response.output_item.done"), "item", item.clone()));
}

fn text_events(out: &mut Vec<Event>, index: usize, item: &Value) {
    let part = &item["content"][0];
    let text = part["text"].as_str().unwrap_or_default();
    let at = |kind: &str| {
        json!({
            "type": kind, "item_id": item["id"], "output_index": index, "content_index": 0,
        })
    };
    let mut empty = part.clone();
    empty["text"] = json!("");
    push(out, with(at("response.content_part.added"), "part", empty));
    for word in text.split_inclusive(char::is_whitespace) {
        push(out, with(at("response.output_text.delta"), "delta", json!(word)));
    }
    push(out, with(at("response.output_text.done"), "text", json!(text)));
    push(out, with(at("response.content_part.done"), "part", part.clone()));
}

fn field_events(out: &mut Vec<Event>, index: usize, item: &Value, field: &str, kind: &str) {
    let at = |end: &str| {
        json!({
            "type": format!("{kind}.{end}"), "item_id": item["id"], "output_index": index,
        })
    };
    push(out, with(at("delta"), "delta", item[field].clone()));
    push(out, with(at("done"), field, item[field].clone()));
}

fn with(mut event: Value, field: &str, value: Value) -> Value {
    event[field] = value;
    event
}

fn push(out: &mut Vec<Event>, mut data: Value) {
    data["sequence_number"] = json!(out.len());
    let name = data["type"].as_str().unwrap_or_default().to_owned();
    out.push(Event { name, data });
}

/// An error as this provider words it.
pub fn error(fault: &Fault, message: &str) -> Value {
    let (kind, code) = match fault.status {
        400 => ("invalid_request_error", "invalid_request"),
        401 => ("authentication_error", "invalid_api_key"),
        429 => ("rate_limit_error", "rate_limit_exceeded"),
        _ => ("server_error", "server_error"),
    };
    let code = fault.code.as_deref().unwrap_or(code);
    json!({ "error": { "message": message, "type": kind, "param": null, "code": code } })
}
