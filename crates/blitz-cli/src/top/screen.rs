//! The terminal: raw while it is watched, and as it was before, however that ends.

use std::io::{self, Write};
use std::time::Duration;

use crossterm::cursor;
use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::style::{Attribute, SetAttribute};
use crossterm::terminal::{self, Clear, ClearType};
use crossterm::{execute, queue};

use super::view::{Line, Look};

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Quit,
    /// Hold still, or go on.
    Hold,
    /// Sort by the next figure, or the one before.
    Sort {
        back: bool,
    },
    /// Down by so many lines; up if negative. `isize::MIN` and `MAX` are the ends.
    Move(isize),
    /// None was pressed: the window has another size.
    Resize,
}

/// The terminal in its other mode; dropping it restores the first.
#[derive(Debug)]
pub(crate) struct Screen(());

impl Screen {
    /// Takes the terminal over.
    ///
    /// # Errors
    /// If the standard output is no terminal.
    pub(crate) fn open() -> Result<Self, String> {
        use std::io::IsTerminal;
        if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
            return Err("a live view needs a terminal: `--once` prints one view".to_owned());
        }
        // Before the message of a panic is printed the terminal is as it was; the guard's drop comes after it.
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            restore();
            before(info);
        }));
        let screen = Self(());
        terminal::enable_raw_mode().map_err(failed)?;
        execute!(io::stdout(), terminal::EnterAlternateScreen, cursor::Hide).map_err(failed)?;
        Ok(screen)
    }

    /// Columns and lines.
    pub(crate) fn size(&self) -> (usize, usize) {
        let (columns, lines) = terminal::size().unwrap_or((80, 24));
        (columns.max(20).into(), lines.max(5).into())
    }

    /// Draws `lines` from the top, and nothing else.
    ///
    /// # Errors
    /// If the terminal has gone.
    pub(crate) fn draw(&mut self, lines: &[Line]) -> Result<(), String> {
        let mut out = io::stdout().lock();
        let mut draw = || -> io::Result<()> {
            for (row, line) in lines.iter().enumerate() {
                let row = u16::try_from(row).unwrap_or(u16::MAX);
                queue!(out, cursor::MoveTo(0, row))?;
                let attribute = match line.look {
                    Look::Plain => Attribute::Reset,
                    Look::Head => Attribute::Bold,
                    Look::Titles => Attribute::Reverse,
                    Look::Alarm => Attribute::Bold,
                };
                queue!(out, SetAttribute(attribute))?;
                out.write_all(line.text.as_bytes())?;
                queue!(
                    out,
                    SetAttribute(Attribute::Reset),
                    Clear(ClearType::UntilNewLine)
                )?;
            }
            queue!(out, Clear(ClearType::FromCursorDown))?;
            out.flush()
        };
        draw().map_err(failed)
    }

    /// Waits for a key, no longer than `limit`.
    ///
    /// # Errors
    /// If the terminal has gone.
    pub(crate) fn key(&mut self, limit: Duration) -> Result<Option<Key>, String> {
        if !event::poll(limit).map_err(failed)? {
            return Ok(None);
        }
        let event = event::read().map_err(failed)?;
        // A key that means nothing draws once more, which harms nothing.
        Ok(Some(meaning(&event).unwrap_or(Key::Resize)))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
        // The hook that restores is of no more use; a panic's own thread may not change it.
        if !std::thread::panicking() {
            let _ = std::panic::take_hook();
        }
    }
}

fn restore() {
    // Best effort: the terminal may be gone.
    let _ = execute!(io::stdout(), cursor::Show, terminal::LeaveAlternateScreen);
    let _ = terminal::disable_raw_mode();
}

fn failed(error: io::Error) -> String {
    format!("the terminal: {error}")
}

/// So many lines does a page key move.
const PAGE: isize = 10;

fn meaning(event: &Event) -> Option<Key> {
    let Event::Key(KeyEvent {
        code,
        modifiers,
        kind: KeyEventKind::Press | KeyEventKind::Repeat,
        ..
    }) = event
    else {
        return matches!(event, Event::Resize(..)).then_some(Key::Resize);
    };
    match code {
        KeyCode::Char('c' | 'd') if modifiers.contains(KeyModifiers::CONTROL) => Some(Key::Quit),
        KeyCode::Char('q' | 'Q') | KeyCode::Esc => Some(Key::Quit),
        KeyCode::Char(' ' | 'p') => Some(Key::Hold),
        KeyCode::Char('s') | KeyCode::Right => Some(Key::Sort { back: false }),
        KeyCode::Char('S') | KeyCode::Left => Some(Key::Sort { back: true }),
        KeyCode::Down | KeyCode::Char('j') => Some(Key::Move(1)),
        KeyCode::Up | KeyCode::Char('k') => Some(Key::Move(-1)),
        KeyCode::PageDown => Some(Key::Move(PAGE)),
        KeyCode::PageUp => Some(Key::Move(-PAGE)),
        KeyCode::Home => Some(Key::Move(isize::MIN)),
        KeyCode::End => Some(Key::Move(isize::MAX)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_mean_what_the_help_says() {
        let key = |code, modifiers| meaning(&Event::Key(KeyEvent::new(code, modifiers)));
        let plain = |code| key(code, KeyModifiers::NONE);
        assert_eq!(plain(KeyCode::Char('q')), Some(Key::Quit));
        assert_eq!(
            key(KeyCode::Char('c'), KeyModifiers::CONTROL),
            Some(Key::Quit)
        );
        assert_eq!(plain(KeyCode::Char('c')), None);
        assert_eq!(plain(KeyCode::Char('s')), Some(Key::Sort { back: false }));
        assert_eq!(
            key(KeyCode::Char('S'), KeyModifiers::SHIFT),
            Some(Key::Sort { back: true })
        );
        assert_eq!(plain(KeyCode::PageUp), Some(Key::Move(-PAGE)));
        assert_eq!(plain(KeyCode::Char(' ')), Some(Key::Hold));
        assert_eq!(meaning(&Event::Resize(80, 24)), Some(Key::Resize));
    }
}
