"""What has to hold before a command begins to work."""

import cv2
import matplotlib
import tensorflow  # noqa: F401  its first lines are kept from the terminal while this module is imported

matplotlib.use("Agg")  # figures go to files, also on machines without a screen
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # our errors say what is wrong with a file
