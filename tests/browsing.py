"""
A real browser without a window, for the tests of what is shown in one.
"""

import atexit
import os
import shutil
import tempfile
from typing import Any
from unittest import SkipTest

CHROMIUM, DRIVER = "chromium", "chromedriver"
"""
The programs, as Debian's packages C{chromium} and C{chromium-driver} call them.
"""

REQUIRED = "ASYNQUEUE_BROWSER"
"""
The environment variable that is C{"required"} where tests must not be left out.
"""

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


def openBrowser() -> "Browser":
    """
    Starts one.

    @raise SkipTest: if there is none, and none is required.
    @raise RuntimeError: if there is none though one is.
    """
    paths = {name: shutil.which(name) for name in (CHROMIUM, DRIVER)}
    lacking = [name for name, path in paths.items() if path is None]
    try:
        import selenium.webdriver as webdriver
    except ImportError:
        lacking.append("selenium")
    if not lacking:
        return Browser(webdriver, paths)
    text = (
        f"no {', no '.join(lacking)}: apt-get install chromium chromium-driver, and "
        "pip install selenium"
    )
    if os.environ.get(REQUIRED) == "required":
        raise RuntimeError(f"{text} ({REQUIRED} says that it is required)")
    raise SkipTest(text)


class Shared:
    """
    I am the browser that all tests of a module share, from the first to the last.
    Trial has nothing that would be done once for several tests.

    @ivar users: How many tests have not yet given me back.
    """

    def __init__(self) -> None:
        self.users = 0
        self._browser: Browser | None = None

    def get(self) -> "Browser":
        """
        @return: The browser, as of L{openBrowser}.
        """
        if self._browser is None:
            self._browser = openBrowser()
            # Where the tests are interrupted, or others run the rest of them.
            atexit.register(self.close)
        return self._browser

    def giveBack(self) -> None:
        """
        To be called when a test is over.
        """
        self.users -= 1
        if self.users <= 0:
            self.close()

    def close(self) -> None:
        """
        Ends the browser, if there is one.
        """
        browser, self._browser = self._browser, None
        if browser is not None:
            atexit.unregister(self.close)
            browser.close()


class Browser:
    """
    I am a browser with one page, a width and a scheme of colours.

    All my methods block.

    @ivar driver: What drives it.
    """

    def __init__(self, webdriver: Any, paths: Any) -> None:
        self._home = tempfile.mkdtemp(prefix="asynqueue-browser-")
        options = webdriver.ChromeOptions()
        options.binary_location = paths[CHROMIUM]
        for flag in (*FLAGS, f"--user-data-dir={self._home}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        try:
            self.driver = webdriver.Chrome(
                options, webdriver.ChromeService(executable_path=paths[DRIVER])
            )
        except BaseException:
            shutil.rmtree(self._home, ignore_errors=True)
            raise
        self.driver.set_script_timeout(30)

    def close(self) -> None:
        """
        Ends it, and leaves nothing of it.
        """
        self.driver.quit()
        shutil.rmtree(self._home, ignore_errors=True)

    def show(
        self, width: int, height: int, scheme: str = "light", scale: float = 1
    ) -> None:
        """
        Sets the size of the window, in CSS pixels, how many pixels each of them has,
        and the scheme of colours.
        """
        metrics = {"width": width, "height": height, "deviceScaleFactor": scale}
        self.tell("Emulation.setDeviceMetricsOverride", mobile=False, **metrics)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.tell("Emulation.setEmulatedMedia", features=[feature])

    def tell(self, command: str, **how: Any) -> Any:
        """
        Gives a command of the DevTools protocol.
        """
        return self.driver.execute_cdp_cmd(command, how)

    def open(self, address: str) -> None:
        """
        Opens a page, and forgets what the one before has said.
        """
        self.driver.get_log("browser")
        self.driver.get(address)

    def run(self, script: str, *arguments: Any) -> Any:
        """
        @return: What a script in the page returns.
        """
        return self.driver.execute_script(script, *arguments)

    def until(self, condition: str, *arguments: Any) -> Any:
        """
        Waits until a condition holds in the page.

        @param condition: An expression, which may have C{arguments} in it.
        @return: Its value.
        @raise TimeoutException: if it does not come to hold within 30 seconds. Its
            text has the condition and what the page shows.
        """
        script = f"""
            const given = Array.from(arguments), done = given.pop();
            (function wait(...arguments_) {{
                const value = (function () {{ return {condition}; }})(...arguments_);
                if (value) done(value); else setTimeout(wait, 20, ...arguments_);
            }})(...given);
        """
        from selenium.common.exceptions import TimeoutException

        try:
            return self.driver.execute_async_script(script, *arguments)
        except TimeoutException as error:
            shown = self.run("return document.body.innerText")
            raise TimeoutException(f"{condition} did not hold in {shown}") from error

    def text(self, selector: str) -> str:
        """
        @return: The text that an element shows.
        """
        return str(
            self.run("return document.querySelector(arguments[0]).innerText", selector)
        )

    def said(self) -> list[str]:
        """
        @return: What the page has said on the console.
        """
        return [entry["message"] for entry in self.driver.get_log("browser")]
