// Runs before the first paint, so that a dark room never sees a white flash. Kept apart from the application because
// the content security policy allows no inline script.
(function () {
  var root = document.documentElement;
  try {
    var theme = localStorage.getItem('madang.theme');
    if (theme === 'light' || theme === 'dark') root.dataset.theme = theme;
    var language = localStorage.getItem('madang.language') || navigator.language || 'en';
    root.lang = language.slice(0, 2) === 'ko' ? 'ko' : 'en';
  } catch (error) {
    root.lang = 'en';
  }
})();
