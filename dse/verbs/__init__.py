"""What each verb of the command line does; a module each, imported when its verb is called."""
