//! The Gemini dialect (`generateContent`), as gemini-cli speaks it.

use serde_json::{Value, json};

use super::answer::Answer;
use super::dialect::{Event, Ids};
use super::request::{Item, Request, Tool, ToolKind, text_of, texts_of};
use super::script::Fault;

#[cfg(test)]
mod tests;

/// The methods of a model that make it speak: whole and streamed.
const METHODS: [(&str, bool); 2] = [(":generateContent", false), (":streamGenerateContent", true)];
/// The method that counts a request's tokens.
const COUNT: &str = ":countTokens";
/// Google's types of what an error goes on to say.
const TYPES: &str = "type.googleapis.com/google.rpc";

/// Whether the path ends in a model and a method that makes it speak.
pub fn is_path(path: &str) -> bool {
    addressed(path).is_some()
}

/// Whether the path asks for a count of tokens.
pub fn is_count(path: &str) -> bool {
    path.ends_with(COUNT)
}

/// The model that a path names, and whether its answer shall be a stream.
fn addressed(path: &str) -> Option<(&str, bool)> {
    let (_, last) = path.rsplit_once("/models/")?;
    METHODS.iter().find_map(|(method, stream)| Some((last.strip_suffix(method)?, *stream)))
}

/// Reads a request: the path says what other dialects have in the body.
pub fn parse(path: &str, body: &Value) -> Request {
    let (model, stream) = addressed(path).unwrap_or(("scripted", false));
    let system = body.get("systemInstruction").unwrap_or(&body["system_instruction"]);
    let mut request = Request {
        model: model.to_owned(),
        stream,
        system: text_of(&system["parts"]),
        ..Request::default()
    };
    for content in body["contents"].as_array().into_iter().flatten() {
        read_content(&mut request, content);
    }
    for tools in body["tools"].as_array().into_iter().flatten() {
        let declared = tools.get("functionDeclarations").unwrap_or(&tools["function_declarations"]);
        request.tools.extend(declared.as_array().into_iter().flatten().map(read_tool));
    }
    let config = &body["generationConfig"];
    let schema = config.get("responseJsonSchema").or_else(|| config.get("responseSchema"));
    request.schema = match schema {
        Some(schema) => Some(schema.clone()),
        None if config["responseMimeType"] == "application/json" => {
            Some(json!({ "type": "object" }))
        }
        None => None,
    };
    request
}

fn read_content(request: &mut Request, content: &Value) {
    if content["role"] == "model" {
        return;
    }
    let parts = &content["parts"];
    let answers = parts.as_array().into_iter().flatten();
    let answers: Vec<&Value> = answers.filter_map(|part| part.get("functionResponse")).collect();
    if answers.is_empty() {
        request.items.push(Item::user(texts_of(parts)));
    }
    // Text beside a tool's result is the client's comment on it, not a new prompt.
    for answer in answers {
        let said = &answer["response"];
        let text = said["output"].as_str().or_else(|| said["error"].as_str());
        request.items.push(Item::Result(text.map_or_else(|| said.to_string(), str::to_owned)));
    }
}

fn read_tool(declared: &Value) -> Tool {
    let schema = declared.get("parametersJsonSchema").unwrap_or(&declared["parameters"]);
    Tool {
        name: declared["name"].as_str().unwrap_or_default().to_owned(),
        namespace: None,
        kind: ToolKind::Function,
        schema: schema.clone(),
    }
}

/// The whole answer as one JSON object.
pub fn render(request: &Request, answer: &Answer, ids: &Ids) -> Value {
    let mut parts = Vec::new();
    if !answer.text.is_empty() || answer.call.is_none() {
        parts.push(json!({ "text": answer.text }));
    }
    parts.extend(call_part(answer, ids));
    last_piece(request, answer, ids, parts)
}

/// The answer as a stream of events: each in the shape of a whole answer, and nothing more said
/// of the end than the last one's reason to stop.
pub fn events(request: &Request, answer: &Answer, ids: &Ids) -> Vec<Event> {
    let words = answer.text.split_inclusive(char::is_whitespace);
    let mut parts: Vec<Value> = words.map(|word| json!({ "text": word })).collect();
    parts.extend(call_part(answer, ids));
    let last = parts.pop().unwrap_or_else(|| json!({ "text": "" }));
    let pieces = parts.into_iter().map(|part| piece(request, ids, vec![part]));
    pieces.chain([last_piece(request, answer, ids, vec![last])]).map(unnamed).collect()
}

/// How a stream begins that goes no further.
pub fn opening(request: &Request, answer: &Answer, ids: &Ids) -> Vec<Event> {
    let word = answer.text.split_inclusive(char::is_whitespace).next().unwrap_or("So ");
    vec![unnamed(piece(request, ids, vec![json!({ "text": word })]))]
}

fn unnamed(data: Value) -> Event {
    Event { name: String::new(), data }
}

fn call_part(answer: &Answer, ids: &Ids) -> Option<Value> {
    let call = answer.call.as_ref()?;
    let id = ids.of("fc");
    Some(json!({ "functionCall": { "id": id, "name": call.name, "args": call.args } }))
}

fn piece(request: &Request, ids: &Ids, parts: Vec<Value>) -> Value {
    json!({
        "responseId": ids.of("gem"), "modelVersion": request.model,
        "candidates": [{ "index": 0, "content": { "role": "model", "parts": parts } }],
    })
}

fn last_piece(request: &Request, answer: &Answer, ids: &Ids, parts: Vec<Value>) -> Value {
    let mut last = piece(request, ids, parts);
    let usage = answer.usage;
    last["candidates"][0]["finishReason"] = json!("STOP");
    last["usageMetadata"] = json!({
        "promptTokenCount": usage.input,
        "cachedContentTokenCount": usage.cached,
        // What is thought counts apart here.
        "candidatesTokenCount": usage.output.saturating_sub(usage.reasoning),
        "thoughtsTokenCount": usage.reasoning,
        "totalTokenCount": usage.input + usage.output,
    });
    last
}

/// An error as this provider words it: how long to wait and which quota is used up are details.
pub fn error(fault: &Fault, message: &str) -> Value {
    let status = match fault.status {
        400 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        500 => "INTERNAL",
        503 => "UNAVAILABLE",
        _ => "UNKNOWN",
    };
    let mut details = Vec::new();
    if fault.code.as_deref() == Some("insufficient_quota") {
        let quota = "GenerateRequestsPerDayPerProjectPerModel";
        details.push(json!({
            "@type": format!("{TYPES}.QuotaFailure"), "violations": [{ "quotaId": quota }],
        }));
    }
    if let Some(wait) = fault.retry_after {
        let wait = format!("{wait}s");
        details.push(json!({ "@type": format!("{TYPES}.RetryInfo"), "retryDelay": wait }));
    }
    json!({ "error": {
        "code": fault.status, "status": status, "message": message, "details": details,
    }})
}
