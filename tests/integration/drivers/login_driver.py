"""The newest client's login by device code, in its steps."""
import hub_driver
from huggingface_hub.utils import _oauth_device as device


def device_begin():
    return dict(device.request_device_code())


def device_end(info):
    return dict(device.poll_device_token(info))


def device_refresh(refresh_token):
    return dict(device.refresh_access_token(refresh_token))


hub_driver.device_begin = device_begin
hub_driver.device_end = device_end
hub_driver.device_refresh = device_refresh

if __name__ == "__main__":
    hub_driver.main()
