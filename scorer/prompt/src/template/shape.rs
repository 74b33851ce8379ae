//! How deep a template's expressions may nest, checked on its tokens before
//! anything recurses over them: the compiler uses stack for every operator of a
//! chain, and a stack that overflows ends the process.

use minijinja::machinery::{Token, tokenize};

use super::{TemplateError, environment};

/// Brackets within brackets.
const BRACKETS: usize = 64;
/// Tokens of one expression without those that commas separate, over all open
/// brackets: no chain of operators is longer. Real templates need about 100.
const CHAIN: usize = 400;
/// `elif` and `else` in one template; each nests in the one before it.
const BRANCHES: usize = 512;

/// Refuses sources that nest too deep to be compiled. What does not even
/// tokenise is left to the compiler and its better message.
pub(super) fn check(source: &str) -> Result<(), TemplateError> {
    let mut block = Block::default();
    let mut branches = 0;
    let mut starts = false;
    for item in tokenize(source, false, environment::syntax()) {
        let Ok((token, span)) = item else {
            return Ok(());
        };
        let too_much = |reason: String| TemplateError {
            line: usize::from(span.start_line),
            reason,
        };
        if starts && matches!(token, Token::Ident("elif" | "else")) {
            branches += 1;
        }
        starts = matches!(token, Token::BlockStart);
        block.take(&token);
        if block.chains.len() > BRACKETS {
            return Err(too_much(format!(
                "more than {BRACKETS} brackets within each other; set variables for the parts"
            )));
        }
        if block.total > CHAIN {
            return Err(too_much(format!(
                "an expression of more than {CHAIN} operators and operands; set variables for the parts"
            )));
        }
        if branches > BRANCHES {
            return Err(too_much(format!("more than {BRANCHES} elif and else")));
        }
    }
    Ok(())
}

/// The expression that is being read.
#[derive(Default)]
struct Block {
    /// Tokens since the last comma, outermost bracket first.
    chains: Vec<usize>,
    /// The sum of `chains` and of what stands outside of brackets.
    total: usize,
    outside: usize,
}

impl Block {
    fn take(&mut self, token: &Token<'_>) {
        match token {
            Token::TemplateData(_)
            | Token::VariableStart
            | Token::VariableEnd
            | Token::BlockStart
            | Token::BlockEnd => *self = Self::default(),
            Token::BracketOpen | Token::ParenOpen | Token::BraceOpen => {
                self.count();
                self.chains.push(0);
            }
            Token::BracketClose | Token::ParenClose | Token::BraceClose => {
                self.total -= self.chains.pop().unwrap_or_default();
            }
            Token::Comma => {
                let chain = self.chains.last_mut().unwrap_or(&mut self.outside);
                self.total -= std::mem::take(chain);
            }
            _ => self.count(),
        }
    }

    fn count(&mut self) {
        *self.chains.last_mut().unwrap_or(&mut self.outside) += 1;
        self.total += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn deep_sources_are_refused_before_they_are_compiled() {
        let many = 100_000;
        for (source, named) in [
            (format!("{{{{ {}1 }}}}", "-".repeat(many)), "operators"),
            (format!("{{{{ {}1 }}}}", "not ".repeat(many)), "operators"),
            (format!("{{{{ a{} }}}}", ".a".repeat(many)), "operators"),
            (format!("{{{{ a{} }}}}", "~a".repeat(many)), "operators"),
            (format!("{{{{ a{} }}}}", "|e".repeat(many)), "operators"),
            (format!("{{{{ a{} }}}}", "[0]".repeat(many)), "operators"),
            (format!("{{{{ a{} }}}}", "()".repeat(many)), "operators"),
            (format!("{{{{ {}", "[".repeat(many)), "brackets"),
            (format!("{{{{ {}", "f(1,".repeat(many)), "brackets"),
            (
                format!("{{% if a %}}{}{{% endif %}}", "{% elif a %}".repeat(many)),
                "elif",
            ),
        ] {
            let error = check(&source).unwrap_err();
            assert!(error.reason.contains(named), "{error}");
            assert_eq!(error.line, 1);
        }
    }

    #[test]
    fn long_sources_that_are_not_deep_pass() {
        let list = format!("{{{{ [{}] }}}}", "a ~ b,".repeat(10_000));
        let blocks = "{{ a ~ (b + c)[0].d | trim }}text{% set e = f %}".repeat(10_000);
        for source in [list, blocks, "{% if".to_owned(), "{{ 'a".to_owned()] {
            assert!(check(&source).is_ok());
        }
    }
}
