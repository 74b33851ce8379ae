//! Whether a template wants message content as text or as a list of parts,
//! found as vLLM finds it (`--chat-template-content-format auto`).

use minijinja::machinery::ast::{Expr, Stmt};
use minijinja::machinery::parse;

use super::environment;

/// How message content is given to a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentFormat {
    /// As one text; vLLM's `string`.
    String,
    /// As a list of parts; vLLM's `openai`.
    Parts,
}

impl ContentFormat {
    /// A template wants parts if it loops over the content of a message, where
    /// a message is the variable of a loop over `messages` or over a variable
    /// set from it. A source that does not parse counts as wanting text.
    pub(super) fn detect(source: &str) -> Self {
        match parse(source, "chat_template", environment::syntax()) {
            Ok(root) if loops_over_content(&root).unwrap_or(false) => Self::Parts,
            _ => Self::String,
        }
    }
}

/// Where vLLM's own search fails, at a target that is not a plain name, it
/// falls back to text, whatever it has seen before.
struct NotAName;

fn loops_over_content(root: &Stmt<'_>) -> Result<bool, NotAName> {
    let mut found = Statements::default();
    found.visit(root);
    let conversations = names_for_messages(&found)?;
    let mut messages = Vec::new();
    for (target, iterated) in &found.loops {
        if conversations
            .iter()
            .any(|name| is_value_or_part(iterated, name, None))
        {
            messages.push(name_of(target)?);
        }
    }
    for (target, iterated) in &found.loops {
        if messages
            .iter()
            .any(|name| is_value_or_part(iterated, name, Some("content")))
        {
            return name_of(target).map(|_| true);
        }
    }
    Ok(false)
}

/// `messages` and every variable set from one of these names.
fn names_for_messages<'a>(found: &Statements<'a, '_>) -> Result<Vec<&'a str>, NotAName> {
    let mut names = vec!["messages"];
    let mut next = 0;
    while let Some(&name) = names.get(next) {
        for (target, value) in &found.assignments {
            if is_value_or_part(value, name, None) {
                let target = name_of(target)?;
                if !names.contains(&target) {
                    names.push(target);
                }
            }
        }
        next += 1;
    }
    Ok(names)
}

fn name_of<'a>(target: &Expr<'a>) -> Result<&'a str, NotAName> {
    match target {
        Expr::Var(variable) => Ok(variable.id),
        _ => Err(NotAName),
    }
}

/// Whether `expr` is the variable (or its field `key`), seen through filters,
/// tests and slices.
fn is_value_or_part(expr: &Expr<'_>, variable: &str, key: Option<&str>) -> bool {
    match expr {
        Expr::Filter(filter) => filter
            .expr
            .as_ref()
            .is_some_and(|inner| is_value_or_part(inner, variable, key)),
        Expr::Test(test) => is_value_or_part(&test.expr, variable, key),
        Expr::Slice(slice) => is_value_or_part(&slice.expr, variable, key),
        _ => match key {
            None => is_variable(expr, variable),
            Some(key) => is_field(expr, variable, key),
        },
    }
}

fn is_variable(expr: &Expr<'_>, variable: &str) -> bool {
    matches!(expr, Expr::Var(found) if found.id == variable)
}

fn is_field(expr: &Expr<'_>, variable: &str, key: &str) -> bool {
    match expr {
        Expr::GetAttr(get) => get.name == key && is_variable(&get.expr, variable),
        Expr::GetItem(get) => {
            is_variable(&get.expr, variable)
                && matches!(&get.subscript_expr, Expr::Const(name) if name.value.as_str() == Some(key))
        }
        _ => false,
    }
}

/// All loops and plain assignments of a template, in source order.
#[derive(Default)]
struct Statements<'a, 'b> {
    loops: Vec<(&'b Expr<'a>, &'b Expr<'a>)>,
    assignments: Vec<(&'b Expr<'a>, &'b Expr<'a>)>,
}

impl<'a, 'b> Statements<'a, 'b> {
    fn visit(&mut self, statement: &'b Stmt<'a>) {
        match statement {
            Stmt::Template(template) => self.visit_all(&template.children),
            Stmt::ForLoop(for_loop) => {
                self.loops.push((&for_loop.target, &for_loop.iter));
                self.visit_all(&for_loop.body);
                self.visit_all(&for_loop.else_body);
            }
            Stmt::IfCond(condition) => {
                self.visit_all(&condition.true_body);
                self.visit_all(&condition.false_body);
            }
            Stmt::Set(set) => self.assignments.push((&set.target, &set.expr)),
            Stmt::SetBlock(block) => self.visit_all(&block.body),
            Stmt::WithBlock(block) => self.visit_all(&block.body),
            Stmt::AutoEscape(block) => self.visit_all(&block.body),
            Stmt::FilterBlock(block) => self.visit_all(&block.body),
            Stmt::Block(block) => self.visit_all(&block.body),
            Stmt::Macro(block) => self.visit_all(&block.body),
            Stmt::CallBlock(block) => self.visit_all(&block.macro_decl.body),
            _ => {}
        }
    }

    fn visit_all(&mut self, statements: &'b [Stmt<'a>]) {
        for statement in statements {
            self.visit(statement);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ContentFormat::{self, Parts, String};

    #[test]
    fn formats_are_found_as_vllm_finds_them() {
        for (source, format) in [
            ("{% for m in messages %}{{ m.content }}{% endfor %}", String),
            (
                "{% for m in messages %}{% for c in m.content %}{{ c }}{% endfor %}{% endfor %}",
                Parts,
            ),
            (
                "{% for m in messages %}{% for c in m['content'] | list %}{% endfor %}{% endfor %}",
                Parts,
            ),
            (
                "{% for m in messages %}{% for c in m['other'] %}{% endfor %}{% endfor %}",
                String,
            ),
            (
                "{% set x = messages[1:] %}{% set y = x %}{% for m in y %}{% for c in m.content %}{% endfor %}{% endfor %}",
                Parts,
            ),
            // Aliases of the content itself are not followed.
            (
                "{% for m in messages %}{% set c = m.content %}{% for p in c %}{% endfor %}{% endfor %}",
                String,
            ),
            // A target that is not a name ends the search.
            (
                "{% set ns = namespace() %}{% set ns.all = messages %}{% for m in messages %}{% for c in m.content %}{% endfor %}{% endfor %}",
                String,
            ),
            (
                "{% macro f(m) %}{% for m in messages %}{% for c in m.content %}{% endfor %}{% endfor %}{% endmacro %}",
                Parts,
            ),
            ("{% for m in messages ", String),
        ] {
            assert_eq!(ContentFormat::detect(source), format, "{source}");
        }
    }
}
