// Swagger UI on our own description. Requests tried out in the page carry the sign-in's CSRF token.
(function () {
  var token = null;
  fetch('/api/identity/me')
    .then(function (response) {
      return response.ok ? response.json() : null;
    })
    .then(function (me) {
      token = me && me.csrf_token;
    })
    .catch(function () {})
    .finally(function () {
      window.SwaggerUIBundle({
        url: '/api/openapi.json',
        dom_id: '#api',
        deepLinking: true,
        validatorUrl: null,
        requestInterceptor: function (request) {
          if (token && request.method !== 'GET') request.headers['X-CSRF-Token'] = token;
          return request;
        },
      });
    });
})();
