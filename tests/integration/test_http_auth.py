"""Who asks an API: tokens, users, keys and client credentials, none of them written down."""

from __future__ import annotations

import json

import pytest
from support.api import Api, served
from support.paged import EXPECTED, ROWS, WAYS, asking, run, table
from support.steps import run_cold
from support.things import day

from haulier.errors import DataError, DefinitionError
from haulier_extract.check import check


@pytest.fixture
def api():
    with served(Api(rows=ROWS)) as made:
        yield made


@pytest.fixture
def here(tier, tmp_path, api):
    with asking(tier, tmp_path, api) as define:
        yield define


class TestWhoAsks:
    def test_a_bearer_token(self, here, api):
        api.authorization = "Bearer s3cret"
        run(here("/whole", auth={"bearer": "LAB"}))

    def test_a_user_and_a_password(self, here, api):
        api.authorization = "Basic bGFiOnMzY3JldA=="
        run(here("/whole", auth={"basic": {"user": "lab", "password": "LAB"}}))

    @pytest.mark.parametrize("place_of_it", [{}, {"header": "X-Api-Key"}, {"parameter": "key"}])
    def test_a_key_that_is_never_written_down(self, here, api, place_of_it):
        api.key = "s3cret"
        made = here("/whole", auth={"api_key": {"secret": "LAB", **place_of_it}})
        run(made)

        assert "s3cret" not in str(made.database.rows("SELECT * FROM haulier.delivery"))

    def test_client_credentials_whose_token_runs_out_in_the_middle(self, here, api):
        api.token_life = 2
        oauth2 = {
            "token_url": f"{api.url}/token",
            "client_id": "lab",
            "client_secret": "LAB",
            "scope": "read",
        }
        path, asked = WAYS["pages"]
        made = here(path, auth={"oauth2": oauth2}, **asked)
        run(made)

        assert table(made) == EXPECTED
        assert api.counts["/token"] == 2

    def test_client_credentials_are_form_encoded_before_they_are_put_together(self, here, api):
        """RFC 6749, 2.3.1: or a colon in an id would move the border between id and secret."""
        api.token_life, api.client = 9, "l%3Aab+1:s3cret"
        oauth2 = {"token_url": f"{api.url}/token", "client_id": "l:ab 1", "client_secret": "LAB"}
        made = here("/whole", auth={"oauth2": oauth2})
        run(made)

        assert table(made) == EXPECTED

    def test_a_token_that_is_refused_at_once_ends_the_run(self, here, api):
        api.token_life = 0
        oauth2 = {"token_url": f"{api.url}/token", "client_id": "lab", "client_secret": "LAB"}
        with pytest.raises(DefinitionError, match="answers 401: it does not let us in"):
            run(here("/whole", auth={"oauth2": oauth2}))

    def test_a_token_that_runs_out_at_the_last_try_is_fetched_again(self, here, api):
        api.token_life = 8
        api.first = [(503, {}, b""), (401, {}, b"")]
        oauth2 = {"token_url": f"{api.url}/token", "client_id": "lab", "client_secret": "LAB"}
        made = here("/whole", auth={"oauth2": oauth2}, tries=2)
        run(made)

        assert table(made) == EXPECTED
        assert api.counts["/token"] == 2

    def test_check_says_that_a_token_is_refused(self, here, api):
        api.token_life = 0
        oauth2 = {"token_url": f"{api.url}/token", "client_id": "lab", "client_secret": "LAB"}
        made = here("/whole", auth={"oauth2": oauth2})

        ((subject, problem),) = check("things", None, made.settings)
        assert (subject, "answers 401" in problem) == ("things/main", True)

    def test_a_secret_from_a_file_is_in_no_line_of_the_log(self, here, api, tmp_path):
        api.authorization = "Bearer other"
        (tmp_path / "secret").write_text("s3cret-of-a-file\n")
        made = here("/whole", auth={"bearer": "TOKEN"})
        environment = {**made.environment, "HAULIER_SECRET_TOKEN_FILE": str(tmp_path / "secret")}
        code, _, log = run_cold(environment, "extract", "things", "main", day(0))

        assert code == 2
        assert api.headers[-1]["authorization"] == "Bearer s3cret-of-a-file"
        assert "s3cret" not in log
        assert "source.http.auth" in log

    @pytest.mark.parametrize("auth", [{"bearer": "TOKEN"}, {"api_key": {"secret": "TOKEN"}}])
    @pytest.mark.parametrize("secret", ["s3cret\nof two lines", "s3cret\n", "s3cret \u2013"])
    def test_a_secret_that_no_header_can_carry_is_refused_and_not_shown(self, here, api, auth, secret):
        made = here("/whole", auth=auth)
        code, _, log = run_cold(
            {**made.environment, "HAULIER_SECRET_TOKEN": secret}, "extract", "things", "main", day(0)
        )

        assert (code, api.asked) == (2, [])
        assert "the secret TOKEN cannot be sent in a header" in log
        assert "s3cret" not in log

    def test_a_header_that_cannot_be_sent_is_named(self, here, api):
        with pytest.raises(DefinitionError, match=r"source\.http\.headers\.X-Site cannot be sent"):
            run(here("/whole", headers={"X-Site": "Zürich \u2013"}))
        assert not api.asked

    def test_a_token_that_no_header_can_carry_is_not_shown(self, here, api, monkeypatch):
        answer = (200, {}, json.dumps({"access_token": "t0ken\r\nX-More: 1"}).encode())
        monkeypatch.setattr(Api, "_token", lambda *_: answer)
        oauth2 = {"token_url": f"{api.url}/token", "client_id": "lab", "client_secret": "LAB"}
        with pytest.raises(DataError, match="answers 200 and no access_token") as refused:
            run(here("/whole", auth={"oauth2": oauth2}))
        assert "t0ken" not in str(refused.value)

    def test_a_secret_that_is_not_there_is_named(self, here, api):
        with pytest.raises(DefinitionError, match="there is no secret NOPE; set HAULIER_SECRET_NOPE"):
            run(here("/whole", auth={"bearer": "NOPE"}))
        assert not api.asked

    def test_the_next_page_of_another_host_is_not_asked(self, here, api):
        """The secret would go there."""
        api.other_host = "http://localhost:1"
        path, asked = WAYS["links"]
        with pytest.raises(DataError, match="at another host, localhost"):
            run(here(path, auth={"bearer": "LAB"}, **asked))
