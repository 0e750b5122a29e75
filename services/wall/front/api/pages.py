"""The two pages beside the app: the sign-in, and instructions where the app is not built. No scripts."""

from html import escape
from string import Template
from typing import Final

from aiohttp import hdrs, web

_PAGE: Final = Template("""<!doctype html>
<html lang="$language">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<link rel="stylesheet" href="/page.css">
</head>
<body>
<main>
<h1>$heading</h1>
$body
</main>
</body>
</html>
""")

STYLE: Final = """:root { color-scheme: dark }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: #0e1116; color: #e6e9ee;
       font: 1.125rem/1.5 system-ui, sans-serif }
main { width: min(24rem, 90vw) }
h1 { font-size: 1.5rem; margin: 0 0 1.5rem }
label { display: block; margin-bottom: 1rem }
input { display: block; width: 100%; box-sizing: border-box; margin-top: .25rem; padding: .625rem .75rem; font: inherit;
        color: inherit; background: #1a1f27; border: 1px solid #4a5464; border-radius: .375rem }
input:focus, button:focus, a:focus { outline: 3px solid #6db3ff; outline-offset: 1px }
button { width: 100%; padding: .75rem; font: inherit; font-weight: 600; color: #08111c; background: #6db3ff; border: 0;
         border-radius: .375rem; cursor: pointer }
.provider { display: block; margin: 1rem 0; padding: .75rem; text-align: center; color: #e6e9ee; text-decoration: none;
            border: 1px solid #4a5464; border-radius: .375rem }
.exposed { padding: .625rem .75rem; background: #4a3a12; border-radius: .375rem }
.refused { padding: .625rem .75rem; background: #4a1d1d; border-radius: .375rem }
code { background: #1a1f27; padding: .125rem .375rem; border-radius: .25rem }
"""

_TEXTS: Final = {
    "en": {
        "title": "Pantau: sign in",
        "heading": "Pantau",
        "name": "Name",
        "password": "Password",
        "submit": "Sign in",
        "wrong": "The name or the password is wrong.",
        "wait": "Too many wrong attempts. Wait a little and try again.",
        "code": "Enter the password again, and the code of your authenticator.",
        "second": "Code",
        "busy": "Too many people sign in at this moment. Try again.",
        "provider": "Sign in with $provider",
        "provider-refused": "The identity provider did not sign you in. Try again.",
        "provider-role": "Your account is in none of the groups that may use Pantau. Ask your administrator.",
        "provider-account": "The account of your name is disabled here or belongs to somebody else. Ask your "
        "administrator.",
        "provider-away": "The identity provider does not answer. Try again shortly.",
        "arrived": "You are signed in.",
        "left": "You are signed out.",
        "continue": "Continue",
        "exposed": "This connection is not encrypted (HTTP): others on the network can read your password. Open the "
        "page by https:// or ask your administrator.",
        "unbuilt": "The web app is not built here.",
        "build": "Run <code>make web</code> in the repository, or install a built package; then reload this page. "
        "The API and WHEP work without it.",
    },
    "id": {
        "title": "Pantau: masuk",
        "heading": "Pantau",
        "name": "Nama",
        "password": "Kata sandi",
        "submit": "Masuk",
        "wrong": "Nama atau kata sandi salah.",
        "wait": "Terlalu banyak percobaan yang salah. Tunggu sebentar lalu coba lagi.",
        "code": "Masukkan kata sandi sekali lagi, dan kode dari aplikasi autentikator.",
        "second": "Kode",
        "busy": "Terlalu banyak orang masuk saat ini. Coba lagi.",
        "provider": "Masuk dengan $provider",
        "provider-refused": "Penyedia identitas tidak memasukkan Anda. Coba lagi.",
        "provider-role": "Akun Anda tidak termasuk kelompok yang boleh memakai Pantau. Hubungi administrator.",
        "provider-account": "Akun dengan nama Anda dinonaktifkan di sini atau milik orang lain. Hubungi administrator.",
        "provider-away": "Penyedia identitas tidak menjawab. Coba lagi sebentar.",
        "arrived": "Anda sudah masuk.",
        "left": "Anda sudah keluar.",
        "continue": "Lanjutkan",
        "exposed": "Sambungan ini tidak terenkripsi (HTTP): kata sandi Anda dapat dibaca orang lain di jaringan. Buka "
        "halaman ini dengan https:// atau hubungi administrator.",
        "unbuilt": "Aplikasi web belum dibangun di sini.",
        "build": "Jalankan <code>make web</code> di repositori, atau pasang paket jadi; lalu muat ulang halaman ini. "
        "API dan WHEP tetap bekerja.",
    },
}


def language_of(request: web.BaseRequest) -> str:
    """id where the browser asks for it before English, else en."""
    for part in request.headers.get(hdrs.ACCEPT_LANGUAGE, "").lower().split(","):
        tag = part.partition(";")[0].strip().partition("-")[0]
        if tag in ("id", "in"):  # "in" is the old code of Bahasa Indonesia
            return "id"
        if tag == "en":
            return "en"
    return "en"


def _page(request: web.BaseRequest, status: int, body: Template, **values: str) -> web.Response:
    language = language_of(request)
    texts = _TEXTS[language]
    html = _PAGE.substitute(
        language=language, title=texts["title"], heading=texts["heading"], body=body.substitute({**texts, **values})
    )
    return web.Response(
        status=status,
        text=html,
        content_type="text/html",
        headers={hdrs.CACHE_CONTROL: "no-store", "Content-Language": language, hdrs.VARY: hdrs.ACCEPT_LANGUAGE},
    )


# Without an action the form goes to the page's own address, and the layout in its fragment survives the redirect.
_FORM: Final = Template("""$refused<form method="post">
<label>$name<input name="name" value="$given" autocomplete="username" autocapitalize="none" required autofocus></label>
<label>$password<input name="password" type="password" autocomplete="current-password" required></label>
$code<button>$submit</button>
</form>$provider_link""")
_PROVIDER: Final = Template('<a class="provider" href="/oidc/sign-in">$text</a>')
_ON: Final = Template('<p role="status">$text</p><a class="provider" href="$target">$continue</a>')
_CODE: Final = Template(
    '<label>$second<input name="code" inputmode="numeric" autocomplete="one-time-code" required></label>'
)
_NOT_BUILT: Final = Template("<p>$unbuilt</p><p>$build</p>")


def sign_in(
    request: web.BaseRequest,
    *,
    refused: str = "",
    given: str = "",
    exposed: bool = False,
    status: int = 401,
    code: bool = False,
    provider: str = "",
) -> web.Response:
    """The sign-in page; ``refused`` is the key of the text that says why the last attempt failed.

    ``exposed``: the password could be read on its way here, which is said.
    ``code``: it asks for the second factor, too. ``provider``: the identity provider's name, where there is one.
    """
    texts = _TEXTS[language_of(request)]
    text = f'<p class="exposed" role="note">{texts["exposed"]}</p>' if exposed else ""
    text += f'<p class="refused" role="alert">{texts[refused]}</p>' if refused else ""
    field = _CODE.substitute(texts) if code else ""
    said = escape(Template(texts["provider"]).substitute(provider=provider))
    link = _PROVIDER.substitute(text=said) if provider else ""
    response = _page(request, status, _FORM, refused=text, given=escape(given), code=field, provider_link=link)
    if status == 401:
        response.headers[hdrs.WWW_AUTHENTICATE] = "Bearer"
    return response


def going_on(request: web.BaseRequest, text: str, target: str) -> web.Response:
    """A page that leads on at once. A redirect would not do: after one that another site's page began the browser
    keeps the session's cookie (SameSite=Strict) back, and one after a form may not leave the site (form-action).

    ``text`` is the key of what it says, ``target`` an address.
    """
    texts = _TEXTS[language_of(request)]
    response = _page(request, 200, _ON, text=texts[text], target=escape(target))
    response.headers["Refresh"] = f"0; url={target}"
    return response


def not_built(request: web.BaseRequest) -> web.Response:
    """Instructions where the app is not built."""
    return _page(request, 503, _NOT_BUILT)
