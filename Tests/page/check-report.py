#!/usr/bin/python3
"""Opens a run's report.html in headless Chromium, as a user does: from a file, without a network.

usage: check-report.py REPORT LAST_EPOCH SCREENSHOTS
Checks that it shows the last epoch, that no text is crossed where the bound is placed, that curves answer the pointer, that
the slider and the choice change the figure, and that nothing is wider than the screen, in light, dark, and on a phone; puts a
picture of each into the folder SCREENSHOTS.
"""
import pathlib
import sys

from selenium import webdriver
from selenium.webdriver import ActionChains
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

SCREENS = {"light": (1200, 900, "light"), "dark": (1200, 900, "dark"), "phone": (390, 844, "light")}


def browser():
    options = webdriver.ChromeOptions()
    # Root has no sandbox; a proxy that is not there keeps the browser from any network.
    for argument in ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--proxy-server=127.0.0.1:9",
                     "--disable-background-networking", "--force-device-scale-factor=1"]:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    options.binary_location = "/usr/bin/chromium"
    return webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)


def check(condition, text):
    if not condition:
        sys.exit(f"error: report.html: {text}")


def check_screen(driver, url, epoch, name, folder):
    width, height, scheme = SCREENS[name]
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                           {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": name == "phone"})
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia",
                           {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    driver.get(url)
    find = lambda selector: driver.find_element(By.CSS_SELECTOR, selector)
    check(f"{epoch} of" in find("#headlines").text, f"the last epoch, {epoch}, is not in {find('#headlines').text!r}")
    check("this model" in find("#scale").text and "ceiling" in find("#scale").text, "the bound is not placed")
    for line in driver.find_elements(By.CSS_SELECTOR, "#scale div"):
        name_box, value, track = [span.rect for span in line.find_elements(By.CSS_SELECTOR, "span")]
        dot = line.find_element(By.CSS_SELECTOR, "b").rect
        check(all(left["x"] + left["width"] < right["x"] for left, right in [(name_box, value), (value, track), (value, dot)])
              and dot["x"] + dot["width"] <= width, f"something crosses {line.text!r} on the {name} screen")
    curves = driver.find_elements(By.CSS_SELECTOR, "#charts svg.plot")
    check(len(curves) == 7, f"{len(curves)} charts in place of 7")
    for curve in curves:
        check(curve.find_elements(By.CSS_SELECTOR, "path"), "a chart without a curve")
    overflow = driver.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
    check(overflow <= 0, f"{overflow} pixels wider than the {name} screen")
    for table in driver.find_elements(By.CSS_SELECTOR, "#timing table"):
        check(table.rect["x"] + table.rect["width"] <= width, f"the table of times is cut off on the {name} screen")
    paper = driver.execute_script("return getComputedStyle(document.body).backgroundColor")
    check((paper == "rgb(255, 255, 255)") == (scheme == "light"), f"the background is {paper} in {scheme}")

    # The pointer at the right end of the first chart: what both curves are at the last epoch.
    box = find("#charts svg.plot rect")
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", box)
    ActionChains(driver).move_to_element_with_offset(box, box.size["width"] // 2 - 3, 0).perform()
    tip = find("#tip").text
    check(f"epoch {epoch}" in tip and "training -" in tip and "test -" in tip and "±" in tip, f"the tip says {tip!r}")

    slider, picture = find("#epoch"), find("#picture")
    loaded = lambda: driver.execute_script("return arguments[0].naturalWidth", picture)
    check(find("#epoch-number").text == str(epoch), "the slider does not begin at the last epoch")
    check(loaded() > 100, "the figure is not drawn")
    last = picture.get_attribute("src")
    slider.send_keys(Keys.ARROW_LEFT)
    check(picture.get_attribute("src") != last, "the slider does not change the figure")
    check(find("#epoch-number").text != str(epoch), "the slider does not change the epoch's number")
    slider.send_keys(Keys.END)
    check(picture.get_attribute("src") == last, "the slider does not lead back")
    names = [option.text for option in Select(find("#figure")).options]
    for kind in ["samples", "inpainting", "denoising", "parameters", "gradients"]:
        check(kind in names, f"no {kind} among the figures {names}")
        Select(find("#figure")).select_by_visible_text(kind)
        check(loaded() > 100, f"the figure {kind} is not drawn")
    check(picture.get_attribute("src") != last, "the choice does not change the figure")
    Select(find("#figure")).select_by_visible_text("samples")
    check("training" in find("#timing").text and "%" in find("#timing").text, "no shares of the time")
    check(len(driver.find_elements(By.CSS_SELECTOR, "#ranks tr")) == 3, "not a line for each of two ranks")
    check("batch_size" in find("#configuration").get_attribute("textContent"), "no configuration")

    driver.execute_script("window.scrollTo(0, 0)")
    whole = driver.execute_script("return document.documentElement.scrollHeight")
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                           {"width": width, "height": whole, "deviceScaleFactor": 1, "mobile": name == "phone"})
    driver.save_screenshot(str(folder / f"{name}.png"))


def main():
    report, epoch, folder = pathlib.Path(sys.argv[1]).resolve(), int(sys.argv[2]), pathlib.Path(sys.argv[3])
    folder.mkdir(parents=True, exist_ok=True)
    driver = browser()
    try:
        for name in SCREENS:
            check_screen(driver, report.as_uri(), epoch, name, folder)
        messages = [entry["message"] for entry in driver.get_log("browser")]
        check(not messages, f"the console says {messages}")
    finally:
        driver.quit()
    print(f"{report.name} shows epoch {epoch} in light, dark and on a phone; pictures in {folder}")


main()
