// Keys, and replies as they are written. Every form works without this file.
(() => {
  'use strict';
  const typing = e => e.target.closest('textarea, select, input:not([type=radio])');

  document.addEventListener('keydown', e => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.isComposing) return;
    const say = e.target.closest('.say textarea');
    if (say && e.key === 'Enter' && !e.shiftKey) {
      e.preventDefault();
      say.form.requestSubmit();
      return;
    }
    if (typing(e) || !/^[1-8]$/.test(e.key)) return;
    const box = document.querySelector(`input[name=box][value="${e.key}"]`);
    if (!box) return;
    e.preventDefault();
    box.checked = true;
    box.focus();
  });

  for (const button of document.querySelectorAll('[data-copy]')) {
    button.hidden = false;
    button.addEventListener('click', () => {
      const label = button.dataset.copy;
      const from = document.querySelector(`[data-label="${label}"]`);
      const text = document.getElementById('rewrite');
      text.value = from.textContent;
      text.focus();
      button.form.querySelector(`[value="${label.toLowerCase()}"]`).checked = true;
    });
  }

  const waiting = document.querySelector('[data-state]');
  if (!waiting) return;
  const status = document.getElementById('status');
  const poll = async () => {
    let pause = 400;
    try {
      const answer = await fetch(waiting.dataset.state);
      if (answer.status === 401 || answer.status === 404) {
        location.reload();  // the page itself says why
        return;
      }
      if (!answer.ok) throw new Error(answer.status);
      const state = await answer.json();
      if (state.step !== 'wait') {
        location.reload();
        return;
      }
      for (const reply of state.replies) {
        waiting.querySelector(`[data-label="${reply.label}"]`).textContent =
          reply.text;
      }
      status.textContent = 'The assistant is writing two replies.';
    } catch {
      pause = 2000;
      status.textContent = 'No answer from the server: trying again.';
    }
    setTimeout(poll, pause);
  };
  poll();
})();
